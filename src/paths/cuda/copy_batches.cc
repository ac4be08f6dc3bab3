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

// The last batch may be larger by that share, so that no launch is for a small rest.
constexpr std::uint64_t kLastShare = 4;

bool is_for_one(std::uint64_t left, std::uint64_t most) noexcept {
  return left <= most + most / kLastShare;
}

}  // namespace

bool are_for_kernel(std::span<const Page> ranges, std::uint64_t least_engine_bytes) {
  const auto large = std::count_if(
      ranges.begin(), ranges.end(),
      [&](const Page& range) { return range.size >= least_engine_bytes; });
  return ranges.size() - static_cast<std::size_t>(large) > kFewRanges;
}

CopyBatches::CopyBatches(KeptPages ranges, std::uint32_t max_blocks,
                         std::uint64_t least_engine_bytes, std::uint64_t slowness)
    : ranges_(std::move(ranges)),
      for_engine_(ranges_.size()),
      max_blocks_(max_blocks),
      slowness_(slowness),
      bytes_left_(sum_up(ranges_).bytes) {
  if (max_blocks_ == 0 || !are_for_kernel(ranges_, least_engine_bytes)) return;
  const auto is_large = [&](const Page& range) {
    return range.size >= least_engine_bytes;
  };
  const bool has_large = std::any_of(ranges_.begin(), ranges_.end(), is_large);
  const auto pages =
      has_large ? std::stable_partition(ranges_.begin(), ranges_.end(), is_large)
                : ranges_.begin();
  for_engine_ = static_cast<std::size_t>(pages - ranges_.begin());
}

CopyBatches::CopyBatches(PagedPair pages, std::uint32_t max_blocks)
    : pages_(std::move(pages)), max_blocks_(max_blocks), bytes_left_(pages_->size()) {}

const CopyBatch& CopyBatches::next() {
  batch_ = {};
  batch_.is_for_kernel = next_ >= for_engine_;
  if (pages_)
    take_pages();
  else if (batch_.is_for_kernel)
    take_for_kernel();
  else
    take_for_engine();
  bytes_left_ -= batch_.bytes;
  return batch_;
}

void CopyBatches::take_for_engine() {
  parts_.clear();
  while (next_ < for_engine_) {
    const Page& range = ranges_[next_];
    const std::uint64_t left = range.size - offset_;
    const std::uint64_t most = (kBatchWeight - kEngineRangeWeight) / slowness_;
    const std::uint64_t size = is_for_one(left, most) ? left : most;
    const std::uint64_t weight = size * slowness_ + kEngineRangeWeight;
    if (!parts_.empty() && batch_.weight + weight > kBatchWeight) break;
    parts_.push_back({range.source + offset_, range.target + offset_, size});
    batch_.bytes += size;
    batch_.weight += weight;
    offset_ += size;
    if (offset_ < range.size) continue;
    ++next_;
    offset_ = 0;
  }
  batch_.ranges = parts_;
}

std::uint64_t CopyBatches::most_for_kernel() const noexcept {
  const std::uint64_t blocks = std::min(max_blocks_, kFastBlocks);
  return (kBatchWeight - kLaunchWeight) * blocks / kFastBlocks / slowness_;
}

std::uint64_t CopyBatches::kernel_weight(std::uint64_t cost) const noexcept {
  const std::uint64_t blocks = std::min(max_blocks_, kFastBlocks);
  return kLaunchWeight + cost * slowness_ * kFastBlocks / blocks;
}

// At least one.
void CopyBatches::take_pages() noexcept {
  const std::uint64_t cost = pages_->page_bytes() + kPageCost;
  const std::size_t left = pages_->count() - next_;
  const auto most =
      static_cast<std::size_t>(std::max<std::uint64_t>(most_for_kernel() / cost, 1));
  batch_.first_page = next_;
  batch_.page_count = is_for_one(left, most) ? left : most;
  batch_.bytes = batch_.page_count * pages_->page_bytes();
  batch_.weight = kernel_weight(batch_.page_count * cost);
  next_ += batch_.page_count;
}

// They are whole, and at least one.
void CopyBatches::take_for_kernel() noexcept {
  const std::uint64_t most = most_for_kernel();
  const std::size_t first = next_;
  const std::size_t left = ranges_.size() - first;
  std::uint64_t cost = bytes_left_ + left * kPageCost;
  batch_.bytes = bytes_left_;
  next_ = ranges_.size();
  if (!is_for_one(cost, most)) {
    cost = 0;
    batch_.bytes = 0;
    next_ = first;
    do {
      batch_.bytes += ranges_[next_].size;
      cost += ranges_[next_].size + kPageCost;
      ++next_;
    } while (next_ < ranges_.size() && cost + ranges_[next_].size + kPageCost <= most);
  }
  batch_.weight = kernel_weight(cost);
  batch_.ranges = std::span(ranges_).subspan(first, next_ - first);
}

}  // namespace nixl_connect::paths::cuda
