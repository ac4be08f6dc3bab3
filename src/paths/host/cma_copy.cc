// SPDX-License-Identifier: Apache-2.0
#include "paths/host/cma_copy.h"

#include <algorithm>
#include <utility>

namespace nixl_connect::paths::host {
namespace {

std::uint64_t sum(const std::vector<Range>& ranges) noexcept {
  std::uint64_t bytes = 0;
  for (const Range& range : ranges) bytes += range.size;
  return bytes;
}

}  // namespace

CmaCopy::CmaCopy(OperationKind kind, const LeaseWord& lease, std::vector<Range> ranges,
                 std::atomic<std::uint64_t>& progress)
    : kind_(kind),
      lease_(lease),
      ranges_(std::move(ranges)),
      bytes_(sum(ranges_)),
      progress_(progress) {}

CmaCopy::Step CmaCopy::move_piece() noexcept {
  Batch batch;
  if (!take(batch)) return Step::kNothingLeft;
  const Batch::Moved moved = batch.move(kind_, lease_);
  const std::lock_guard lock(mutex_);
  --under_way_;
  bytes_moved_ += moved.bytes;
  progress_.store(bytes_moved_, std::memory_order_relaxed);
  if (fault_ == Fault::kNone) fault_ = moved.fault;
  return ended_if_last();
}

CmaCopy::Step CmaCopy::stop() noexcept {
  const std::lock_guard lock(mutex_);
  was_stopped_ = true;
  return ended_if_last();
}

bool CmaCopy::take(Batch& batch) noexcept {
  const std::lock_guard lock(mutex_);
  if (is_all_taken()) return false;
  while (next_ < ranges_.size() && !batch.is_full() && batch.bytes() < kPieceBytes) {
    const Range& range = ranges_[next_];
    const std::uint64_t size =
        std::min(range.size - offset_, kPieceBytes - batch.bytes());
    batch.add({range.local + offset_, range.remote + offset_, size});
    offset_ += size;
    if (offset_ < range.size) continue;
    ++next_;
    offset_ = 0;
  }
  ++under_way_;
  return true;
}

// With the mutex, as the next one.
CmaCopy::Step CmaCopy::ended_if_last() noexcept {
  const bool is_over = under_way_ == 0 && is_all_taken();
  if (!is_over || std::exchange(has_ended_, true)) return Step::kGoesOn;
  return Step::kEnded;
}

bool CmaCopy::is_all_taken() const noexcept {
  return was_stopped_ || fault_ != Fault::kNone || next_ == ranges_.size();
}

std::size_t CmaCopy::pieces() const noexcept {
  return std::max((bytes_ + kPieceBytes - 1) / kPieceBytes,
                  (ranges_.size() + Batch::kMaxRanges - 1) / Batch::kMaxRanges);
}

}  // namespace nixl_connect::paths::host
