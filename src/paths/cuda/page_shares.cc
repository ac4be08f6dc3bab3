// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/page_shares.h"

namespace nixl_connect::paths::cuda {
namespace {

constexpr std::uint64_t kLeastBulkSize = 512;

std::uint64_t weight_of(const Page& page, std::uint32_t chunk_bytes) {
  return page.size + kChunkCost * chunks_of(page, chunk_bytes);
}

std::uint64_t weight_of(std::span<const Page> pages, std::uint32_t chunk_bytes) {
  std::uint64_t weight = 0;
  for (const Page& page : pages) weight += weight_of(page, chunk_bytes);
  return weight;
}

// Of the page, the first chunk that begins at that weight of it or behind.
std::uint64_t chunk_at(const Page& page, std::uint64_t weight,
                       std::uint32_t chunk_bytes) {
  if (weight == 0) return 0;
  const std::uint64_t step = chunk_bytes + kChunkCost;
  return (weight + lead_of(page) + step - 1) / step;
}

}  // namespace

std::vector<ShareStart> share_out(std::span<const Page> pages,
                                  std::uint32_t chunk_bytes, std::uint32_t workers) {
  const std::uint64_t total = weight_of(pages, chunk_bytes);
  const std::uint64_t least = total / workers;
  const std::uint64_t rest = total % workers;
  std::vector<ShareStart> starts;
  starts.reserve(workers + std::size_t{1});
  std::uint64_t before = 0;  // weight of the pages before this one
  for (std::uint32_t index = 0; index < pages.size(); ++index) {
    const Page& page = pages[index];
    const std::uint64_t weight = weight_of(page, chunk_bytes);
    while (starts.size() < workers) {
      const std::uint64_t number = starts.size();
      const std::uint64_t start = number * least + number * rest / workers;
      if (start >= before + weight) break;
      const std::uint64_t chunk = chunk_at(page, start - before, chunk_bytes);
      if (chunk < chunks_of(page, chunk_bytes))
        starts.push_back({index, static_cast<std::uint32_t>(chunk)});
      else
        starts.push_back({index + 1, 0});
    }
    before += weight;
  }
  starts.resize(workers + std::size_t{1},
                {static_cast<std::uint32_t>(pages.size()), 0});
  return starts;
}

std::uint64_t count_chunks(std::span<const Page> pages, std::uint32_t chunk_bytes) {
  std::uint64_t chunks = 0;
  for (const Page& page : pages) chunks += chunks_of(page, chunk_bytes);
  return chunks;
}

bool is_mostly_bulk(std::span<const Page> pages) {
  std::uint64_t bulk = 0;
  std::uint64_t other = 0;
  for (const Page& page : pages) {
    const bool is_bulk =
        (page.source - page.target) % 16 == 0 && page.size >= kLeastBulkSize;
    (is_bulk ? bulk : other) += page.size;
  }
  return bulk > other;
}

std::vector<Page> merged(std::span<const Page> pages) {
  std::vector<Page> result;
  result.reserve(pages.size());
  for (const Page& page : pages) {
    if (page.size == 0) continue;
    if (!result.empty() && result.back().source + result.back().size == page.source &&
        result.back().target + result.back().size == page.target)
      result.back().size += page.size;
    else
      result.push_back(page);
  }
  return result;
}

}  // namespace nixl_connect::paths::cuda
