// SPDX-License-Identifier: Apache-2.0
//
// How the work of a page kernel is shared out. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/kept_blocks.h"
#include "paths/cuda/abi.h"
#include "paths/cuda/page_copy_arguments.h"

namespace nixl_connect::paths::cuda {

// The pages of one operation, which has thousands.
using KeptPages = base::KeptVector<Page>;

// What is to be known of the pages before anything else.
struct PageSums {
  static constexpr std::uint64_t kLeastBulkSize = 512;

  std::uint64_t bytes = 0;
  // Of pages that can go in bulk: source and target are equally far from a multiple of
  // 16, and there are not too few bytes.
  std::uint64_t bulk_bytes = 0;

  constexpr void add(const Page& page) noexcept {
    const bool is_bulk =
        (page.source - page.target) % 16 == 0 && page.size >= kLeastBulkSize;
    bytes += page.size;
    bulk_bytes += is_bulk ? page.size : 0;
  }
};
PageSums sum_up(std::span<const Page> pages);

// A range lies in a slot of the host's memory as far from a multiple of this as on the
// GPU, whose kernel then moves whole lines.
constexpr std::uint64_t kLine = 128;
constexpr std::uint64_t place_in_slot(std::uint64_t from, std::uint64_t on_gpu) {
  return from + (on_gpu - from) % kLine;
}

// Most bytes can go so.
constexpr bool are_for_bulk(const PageSums& sums) {
  return sums.bulk_bytes > sums.bytes / 2;
}

// What a page costs besides its bytes, as if it had so many more.
constexpr std::uint32_t kPageCost = 1024;

// Where each worker's share starts, and behind them the end of the last: consecutive
// chunks which take about as long as those of any other share. `bytes` of all pages.
// Quick, since the GPU waits meanwhile: 1 ns a page, 5 ns a worker.
std::vector<ShareStart> share_out(std::span<const Page> pages, std::uint64_t bytes,
                                  std::uint32_t chunk_shift, std::uint32_t workers);

// Neighbours on both sides are made one page, unless one of them begins at an address
// of `walls`, which are sorted; empty ones are dropped.
KeptPages merged(KeptPages pages, std::span<const std::uint64_t> walls = {});

}  // namespace nixl_connect::paths::cuda
