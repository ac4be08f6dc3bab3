// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/copy_batches.h"

#include <algorithm>
#include <utility>

#include "paths/cuda/page_shares.h"

namespace nixl_connect::paths::cuda {
namespace {

// In bytes that could be copied meanwhile: what each range costs a copy engine besides
// its bytes, and a launch the kernel.
constexpr std::uint64_t kEngineRangeWeight = 1 << 20;
constexpr std::uint64_t kLaunchWeight = 4 << 20;

// So many blocks are about as fast as a copy engine, fewer are as much slower.
constexpr std::uint32_t kFastBlocks = 16;

}  // namespace

bool are_for_kernel(std::span<const Page> ranges, std::uint64_t least_engine_bytes) {
  const auto large = std::count_if(
      ranges.begin(), ranges.end(),
      [&](const Page& range) { return range.size >= least_engine_bytes; });
  return ranges.size() - static_cast<std::size_t>(large) > kFewRanges;
}

CopyBatches::CopyBatches(std::vector<Page> ranges, std::uint32_t max_blocks,
                         std::uint64_t least_engine_bytes)
    : ranges_(std::move(ranges)),
      for_engine_(ranges_.size()),
      max_blocks_(max_blocks),
      bytes_left_(sum_up(ranges_).bytes) {
  if (max_blocks_ == 0 || !are_for_kernel(ranges_, least_engine_bytes)) return;
  const auto pages = std::stable_partition(
      ranges_.begin(), ranges_.end(),
      [&](const Page& range) { return range.size >= least_engine_bytes; });
  for_engine_ = static_cast<std::size_t>(pages - ranges_.begin());
}

// Of a range of the batch that is being made.
std::uint64_t CopyBatches::weight_of(std::uint64_t bytes) const noexcept {
  if (!batch_.is_for_kernel) return bytes + kEngineRangeWeight;
  const std::uint32_t blocks = std::min(max_blocks_, kFastBlocks);
  return (bytes + kPageCost) * kFastBlocks / blocks;
}

const CopyBatch& CopyBatches::next() {
  batch_.ranges.clear();
  batch_.bytes = 0;
  batch_.is_for_kernel = next_ >= for_engine_;
  batch_.weight = batch_.is_for_kernel ? kLaunchWeight : 0;
  const std::size_t end = batch_.is_for_kernel ? ranges_.size() : for_engine_;
  while (next_ < end) {
    const Page& range = ranges_[next_];
    std::uint64_t size = range.size - offset_;
    if (!batch_.is_for_kernel) size = std::min(size, kBatchWeight - kEngineRangeWeight);
    const std::uint64_t weight = weight_of(size);
    if (!batch_.ranges.empty() && batch_.weight + weight > kBatchWeight) break;
    batch_.ranges.push_back({range.source + offset_, range.target + offset_, size});
    batch_.bytes += size;
    batch_.weight += weight;
    offset_ += size;
    if (offset_ < range.size) continue;
    ++next_;
    offset_ = 0;
  }
  bytes_left_ -= batch_.bytes;
  return batch_;
}

}  // namespace nixl_connect::paths::cuda
