// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/paged_ranges.h"

#include <algorithm>
#include <limits>

namespace nixl_connect::paths::cuda {
namespace {

using Piece = base::PagedMemory::Piece;

bool are_even(const base::PagedMemory& memory) {
  const auto& pieces = memory.pieces();
  const std::uint64_t each = pieces.front().size / memory.page_bytes();
  const auto is_other = [&](const Piece& piece) {
    return piece.size / memory.page_bytes() != each;
  };
  return each > 0 && pieces.size() <= kMostPieces &&
         each <= std::numeric_limits<std::uint32_t>::max() / pieces.size() &&
         std::none_of(pieces.begin(), pieces.end() - 1, is_other) &&
         pieces.back().size / memory.page_bytes() <= each;
}

// All pages lie equally far from a multiple of 16.
bool are_aligned(const PagedPair& pages) {
  const std::uint64_t offset = pages.sources.pieces().front().address % 16;
  const auto is_as_far = [&](const Piece& piece) {
    return piece.address % 16 == offset;
  };
  const auto& sources = pages.sources.pieces();
  const auto& targets = pages.targets.pieces();
  return pages.page_bytes() % 16 == 0 &&
         std::all_of(sources.begin(), sources.end(), is_as_far) &&
         std::all_of(targets.begin(), targets.end(), is_as_far);
}

}  // namespace

KeptPages written_out(const PagedPair& pages) {
  base::PagedMemory::Finder source(pages.sources);
  base::PagedMemory::Finder target(pages.targets);
  KeptPages ranges;
  ranges.reserve(pages.count());
  for (std::size_t page = 0; page < pages.count(); ++page)
    ranges.push_back({source(page), target(page), pages.page_bytes()});
  return ranges;
}

bool are_for_numbers(const PagedPair& pages) {
  return are_even(pages.sources) && are_even(pages.targets);
}

PageSums sum_up(const PagedPair& pages, std::size_t count) {
  const std::uint64_t bytes = count * pages.page_bytes();
  const bool is_bulk =
      pages.page_bytes() >= PageSums::kLeastBulkSize && are_aligned(pages);
  return {bytes, is_bulk ? bytes : 0};
}

}  // namespace nixl_connect::paths::cuda
