// SPDX-License-Identifier: Apache-2.0
//
// Finds the memory of another process that a copy names by its owner's addresses. The
// CUDA thread, with the context current of the GPU that copies.
#pragma once

#include <span>
#include <vector>

#include "paths/cuda/device_copy.h"
#include "paths/cuda/imports.h"

namespace nixl_connect::paths::cuda {

// Throws CopyRefused; DriverError if the context is poisoned.
std::vector<Imports::Mapping> open_foreign(
    Imports& imports, std::span<const CopyWork::ForeignPart> parts);

// Makes the addresses of that side those of this process. Throws
// CopyRefused(kNotAsSaid) for a range that is not wholly within one of the mappings.
void translate(std::span<Page> ranges, CopyWork::Foreign side,
               std::span<const Imports::Mapping> mappings);

}  // namespace nixl_connect::paths::cuda
