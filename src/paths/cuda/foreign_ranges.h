// SPDX-License-Identifier: Apache-2.0
//
// Finds the memory of another process that a copy names by its owner's addresses. The
// CUDA thread, with the context current of the GPU that copies.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "paths/cuda/device_copy.h"
#include "paths/cuda/imports.h"

namespace nixl_connect::paths::cuda {

// Throws CopyRefused; DriverError if the context is poisoned.
std::vector<Imports::Mapping> open_foreign(
    Imports& imports, std::span<const CopyWork::ForeignPart> parts);

// The ranges of the work, which it has no more, with foreign addresses made those of
// this process; one that reaches from one mapping into the next is cut there. Throws
// CopyRefused(kNotAsSaid) for bytes that are in none of them.
KeptPages located(CopyWork& work, std::span<const Imports::Mapping> mappings);

// The same of pages by their numbers. Nothing if what they are in reaches from one
// mapping into the next, or is not open as a whole.
std::optional<PagedPair> located(const PagedPair& pages, CopyWork::Foreign side,
                                 std::span<const Imports::Mapping> mappings);

}  // namespace nixl_connect::paths::cuda
