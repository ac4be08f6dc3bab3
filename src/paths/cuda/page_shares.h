// SPDX-License-Identifier: Apache-2.0
//
// How the work of a page kernel is shared out. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "paths/cuda/page_copy_arguments.h"

namespace nixl_connect::paths::cuda {

// Where each worker's share starts, and behind them the end of the last: consecutive
// chunks which take about as long as those of any other share, as if each cost
// kChunkCost bytes besides its own.
std::vector<ShareStart> share_out(std::span<const Page> pages,
                                  std::uint32_t chunk_bytes, std::uint32_t workers);

constexpr std::uint32_t kChunkCost = 1024;

std::uint64_t count_chunks(std::span<const Page> pages, std::uint32_t chunk_bytes);

// Whether most of the bytes can go in bulk: source and target are equally far from a
// multiple of 16, and not too few at a time.
bool is_mostly_bulk(std::span<const Page> pages);

// Neighbours on both sides are made one page, empty ones are dropped.
std::vector<Page> merged(std::span<const Page> pages);

}  // namespace nixl_connect::paths::cuda
