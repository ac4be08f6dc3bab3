// SPDX-License-Identifier: Apache-2.0
#include "paths/host/copy.h"

#include <algorithm>
#include <utility>

#include "paths/host/fresh_memory.h"

namespace nixl_connect::paths::host {
namespace {

std::uint64_t sum(const Ranges& ranges) noexcept {
  std::uint64_t bytes = 0;
  for (const Range& range : ranges) bytes += range.size;
  return bytes;
}

}  // namespace

Copy::Copy(Ranges ranges, std::atomic<std::uint64_t>& progress,
           std::uint64_t piece_bytes)
    : ranges_(std::move(ranges)),
      bytes_(sum(ranges_)),
      piece_bytes_(piece_bytes),
      progress_(progress) {}

void Copy::prepare_target() noexcept {
  is_target_fresh_ = bytes_ >= kLeastFreshBytes && is_fresh(ranges_);
}

Copy::Step Copy::move_piece() noexcept {
  Piece piece;
  if (!take(piece)) return Step::kNothingLeft;
  if (is_target_fresh_) populate({piece.ranges.data(), piece.count});
  const Moved moved = move({piece.ranges.data(), piece.count});
  const std::lock_guard lock(mutex_);
  --under_way_;
  bytes_moved_ += moved.bytes;
  progress_.store(bytes_moved_, std::memory_order_relaxed);
  if (fault_ == Fault::kNone) fault_ = moved.fault;
  return ended_if_last();
}

Copy::Step Copy::stop() noexcept {
  const std::lock_guard lock(mutex_);
  was_stopped_ = true;
  return ended_if_last();
}

bool Copy::take(Piece& piece) noexcept {
  const std::lock_guard lock(mutex_);
  if (is_all_taken()) return false;
  std::uint64_t left = most_bytes();
  while (next_ < ranges_.size() && piece.count < kPieceRanges && left > 0) {
    const Range& range = ranges_[next_];
    const std::uint64_t size = std::min(range.size - offset_, left);
    piece.ranges[piece.count++] = {range.local + offset_, range.remote + offset_, size};
    left -= size;
    offset_ += size;
    if (offset_ < range.size) continue;
    ++next_;
    offset_ = 0;
  }
  ++under_way_;
  return true;
}

// Of the next piece. With the mutex, as the next two.
std::uint64_t Copy::most_bytes() const noexcept {
  if (!is_target_fresh_) return piece_bytes_;
  return kHugePageBytes - (ranges_[next_].local + offset_) % kHugePageBytes;
}

Copy::Step Copy::ended_if_last() noexcept {
  const bool is_over = under_way_ == 0 && is_all_taken();
  if (!is_over || std::exchange(has_ended_, true)) return Step::kGoesOn;
  let_go();
  return Step::kEnded;
}

bool Copy::is_all_taken() const noexcept {
  return was_stopped_ || fault_ != Fault::kNone || next_ == ranges_.size();
}

std::size_t Copy::pieces() const noexcept {
  return std::max((bytes_ + piece_bytes_ - 1) / piece_bytes_,
                  (ranges_.size() + kPieceRanges - 1) / kPieceRanges);
}

}  // namespace nixl_connect::paths::host
