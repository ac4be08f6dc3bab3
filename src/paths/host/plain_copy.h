// SPDX-License-Identifier: Apache-2.0
//
// Copies by loads and stores, for memory that this process can touch. Any thread.
#pragma once

#include <cstddef>
#include <span>

#include "nixl_connect/metadata.h"
#include "paths/host/copy.h"

namespace nixl_connect::paths::host {

// Between the local and the remote side of each range, both of them addresses of this
// process; the sides do not overlap. Where so many bytes are to be moved that they do
// not fit into the caches, it is faster if the stores leave these alone
// (`is_streaming`), since they need not fetch then what they overwrite.
Moved copy_plainly(OperationKind kind, std::span<const Range> ranges,
                   bool is_streaming) noexcept;

// memcpy with such stores; they are done on return.
void stream(void* to, const void* from, std::size_t size) noexcept;

}  // namespace nixl_connect::paths::host
