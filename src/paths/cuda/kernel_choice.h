// SPDX-License-Identifier: Apache-2.0
//
// How the page kernel copies, and how much of its GPU it takes. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>

#include "paths/cuda/engine_sizes.h"
#include "paths/cuda/page_copy_arguments.h"
#include "paths/cuda/page_shares.h"

namespace nixl_connect::paths::cuda {

// From where to where the GPU copies: within its own memory, or between that and
// another GPU's or the host's.
enum class CopyRoute : std::uint8_t {
  kWithinGpu,
  kFromPeer,
  kToPeer,
  kFromHost,
  kToHost
};

// As many multiprocessors as give a copy of thousands of pages nine tenths of its best
// rate or more, and leave most to others. `page_bytes`: their mean size.
std::uint32_t usual_blocks(std::uint64_t page_bytes, CopyRoute route, bool is_bulk);

struct KernelTerms {
  CopyRoute route = CopyRoute::kFromPeer;
  std::uint32_t max_blocks = 0;  // as the user says; 0: nothing
  int multiprocessors = 0;
  bool has_bulk = false;
  std::uint64_t least_engine_bytes = kLeastEngineBytes;  // as CopyBatches has it
};

struct KernelChoice {
  std::uint32_t max_blocks = 0;
  bool is_plain = false;  // even where it could copy in bulk
};

// For those of the ranges that are no copy engine's. Quick: 1 ns a range.
KernelChoice choose_kernel(std::span<const Page> ranges, const KernelTerms& terms);
// For so many pages.
KernelChoice choose_kernel(const PageSums& sums, std::uint64_t count,
                           const KernelTerms& terms);

}  // namespace nixl_connect::paths::cuda
