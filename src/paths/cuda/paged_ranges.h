// SPDX-License-Identifier: Apache-2.0
//
// Pages on both sides of a copy by their numbers, which are written out last, when
// everything else is known. Values; any thread.
#pragma once

#include "base/paged_memory.h"
#include "paths/cuda/page_shares.h"

namespace nixl_connect::paths::cuda {

// As many pages of one size.
struct PagedPair {
  base::PagedMemory sources;
  base::PagedMemory targets;
};

KeptPages written_out(const PagedPair& pages);

}  // namespace nixl_connect::paths::cuda
