// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/staged_copy.h"

#include <algorithm>
#include <array>
#include <utility>

#include "paths/cuda/page_kernel.h"
#include "paths/cuda/slot_loads.h"

namespace nixl_connect::paths::cuda {
namespace {

using host::Fault;
using host::Moved;
using host::Range;
using Direction = StagingLane::Direction;

static_assert(host::Copy::kPieceRanges <= PageKernel::kMostFewPages);

// What the GPU does behind the last byte of a piece is waited for, so a piece is larger
// than those of other copies, as long as each thread gets one.
constexpr std::uint64_t kMostPieceBytes = 4 << 20;

std::uint64_t piece_bytes(const host::Ranges& ranges, unsigned threads) {
  std::uint64_t bytes = 0;
  for (const Range& range : ranges) bytes += range.size;
  return std::clamp(bytes / std::max(threads, 1U), host::Copy::kPieceBytes,
                    kMostPieceBytes);
}

}  // namespace

StagedCopy::StagedCopy(std::shared_ptr<Staging> staging, StagedWork work,
                       const host::Ranges& ranges, unsigned threads,
                       std::atomic<std::uint64_t>& progress)
    : Copy(ranges, progress, piece_bytes(ranges, threads)),
      staging_(std::move(staging)),
      held_(std::exchange(work.held, {})),
      work_(std::move(work)) {}

host::Copy::Cause StagedCopy::cause() const {
  return failure_ ? Cause{failure_->kind, failure_->message} : Cause{};
}

Moved StagedCopy::move(std::span<const Range> piece) noexcept {
  if (work_.exposure && !work_.exposure->try_hold()) return {0, Fault::kLeaseOver};
  const local::ExposureHold held(work_.exposure);
  Moved moved;
  try {
    const Staging::Loan lane(*staging_, work_.device);
    if (work_.direction == Direction::kToGpu)
      move_to_gpu(*lane, piece, moved);
    else
      move_from_gpu(*lane, piece, moved);
  } catch (...) {
    moved.fault = Fault::kGpu;
    CopyFailure failure = staging_->failure(work_.device);
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
  }
  return moved;
}

void StagedCopy::move_to_gpu(StagingLane& lane, std::span<const Range> piece,
                             Moved& moved) {
  SlotLoads loads(piece, work_.is_gpu_local, work_.direction, lane.slot_bytes());
  SlotLoad load;
  std::array<std::uint64_t, StagingLane::kSlots> under_way{};
  const auto await = [&](unsigned slot) {
    lane.await(slot);
    moved.bytes += std::exchange(under_way.at(slot), 0);
  };
  for (unsigned slot = 0; loads.next(lane.slot(slot), load); slot ^= 1) {
    await(slot);
    const Moved filled = work_.move_host(OperationKind::kRead, load.on_host());
    moved.fault = filled.fault;
    if (filled.fault != Fault::kNone) break;
    lane.submit(slot, load.on_gpu(), work_.direction, {work_.max_blocks, work_.walls});
    under_way.at(slot) = load.bytes;
  }
  for (unsigned slot = 0; slot < StagingLane::kSlots; ++slot) await(slot);
}

void StagedCopy::move_from_gpu(StagingLane& lane, std::span<const Range> piece,
                               Moved& moved) {
  SlotLoads loads(piece, work_.is_gpu_local, work_.direction, lane.slot_bytes());
  std::array<SlotLoad, StagingLane::kSlots> slots;
  const auto begin = [&](unsigned slot) {
    if (!loads.next(lane.slot(slot), slots.at(slot))) return false;
    lane.submit(slot, slots.at(slot).on_gpu(), work_.direction,
                {work_.max_blocks, work_.walls});
    return true;
  };
  bool has_next = begin(0);
  for (unsigned slot = 0; has_next; slot ^= 1) {
    has_next = begin(slot ^ 1);
    lane.await(slot);
    const Moved emptied =
        work_.move_host(OperationKind::kWrite, slots.at(slot).on_host());
    moved.bytes += emptied.bytes;
    moved.fault = emptied.fault;
    if (emptied.fault != Fault::kNone) return;
  }
}

}  // namespace nixl_connect::paths::cuda
