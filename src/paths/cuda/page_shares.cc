// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/page_shares.h"

#include <algorithm>

namespace nixl_connect::paths::cuda {
namespace {

// Of the page, the first chunk that begins at that weight of it or behind. What the
// page costs besides comes with the first one.
std::uint64_t chunk_at(const Page& page, std::uint64_t weight,
                       std::uint32_t chunk_shift) {
  if (weight == 0) return 0;
  if (weight <= kPageCost) return 1;
  const std::uint64_t last = (std::uint64_t{1} << chunk_shift) - 1;
  return std::max<std::uint64_t>(
      1, (weight - kPageCost + lead_of(page) + last) >> chunk_shift);
}

}  // namespace

PageSums sum_up(std::span<const Page> pages) {
  PageSums sums;
  for (const Page& page : pages) sums.add(page);
  return sums;
}

std::vector<ShareStart> share_out(std::span<const Page> pages, std::uint64_t bytes,
                                  std::uint32_t chunk_shift, std::uint32_t workers) {
  const std::uint64_t total = bytes + kPageCost * pages.size();
  std::vector<ShareStart> starts;
  starts.reserve(workers + std::size_t{1});
  std::uint64_t before = 0;  // weight of the pages before this one
  std::uint64_t start = 0;   // of the next share, in weight
  std::uint64_t rest = 0;    // of it, in parts of which a whole one has `workers`
  for (std::uint32_t index = 0; index < pages.size(); ++index) {
    const Page& page = pages[index];
    const std::uint64_t end = before + page.size + kPageCost;
    while (start < end && starts.size() < workers) {
      const std::uint64_t chunk = chunk_at(page, start - before, chunk_shift);
      if (chunk < chunks_of(page, chunk_shift))
        starts.push_back({index, static_cast<std::uint32_t>(chunk)});
      else
        starts.push_back({index + 1, 0});
      start += total / workers;
      rest += total % workers;
      if (rest >= workers) ++start, rest -= workers;
    }
    before = end;
  }
  starts.resize(workers + std::size_t{1},
                {static_cast<std::uint32_t>(pages.size()), 0});
  return starts;
}

KeptPages merged(KeptPages pages, std::span<const std::uint64_t> walls) {
  const auto is_wall = [&](std::uint64_t address) {
    return std::binary_search(walls.begin(), walls.end(), address);
  };
  const auto follow = [&](const Page& page, const Page& before) {
    return before.source + before.size == page.source &&
           before.target + before.size == page.target && !is_wall(page.source) &&
           !is_wall(page.target);
  };
  auto end = pages.begin();  // of those that stay
  for (const Page& page : pages) {
    if (page.size == 0) continue;
    if (end != pages.begin() && follow(page, end[-1]))
      end[-1].size += page.size;
    else
      *end++ = page;
  }
  pages.erase(end, pages.end());
  return pages;
}

}  // namespace nixl_connect::paths::cuda
