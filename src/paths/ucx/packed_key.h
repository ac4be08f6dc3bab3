// SPDX-License-Identifier: Apache-2.0
//
// What can be told of a packed key without unpacking it. Pure; any bytes.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "paths/ucx/context.h"

namespace nixl_connect::paths::ucx {

// Nothing for what is no key: too short, or of a memory type that is not known here,
// which UCX would take for one, and fall.
std::optional<MemoryKind> memory_kind_of(base::BytesView packed) noexcept;

// Whether it is of memory of a GPU and has what a peer opens that by, a handle of
// CUDA's. A peer's access by a key without it is emulated as if the memory were the
// host's, which has been seen to end both processes.
bool can_open_gpu_memory(base::BytesView packed) noexcept;

}  // namespace nixl_connect::paths::ucx
