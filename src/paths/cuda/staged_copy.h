// SPDX-License-Identifier: Apache-2.0
//
// cuda.staged, where the memory of the host is not pinned: bytes of one operation
// between that and a GPU, through the slots of a lane (staging_lane.h) for each thread
// that moves a piece. A piece has ended when the GPU, too, is done with it, so a thread
// may have to wait for one.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "nixl_connect/metadata.h"
#include "paths/cuda/device_copy.h"
#include "paths/cuda/staging.h"
#include "paths/host/copy.h"
#include "paths/local/exposures.h"

namespace nixl_connect::paths::cuda {

// Moves bytes between slots, the local side of each range, and memory of the host, the
// remote one: kRead fills the slots. At most host::Copy::kPieceRanges at a time. Called
// by several threads at once; throws nothing.
using HostMove =
    std::function<host::Moved(OperationKind kind, std::span<const host::Range> ranges)>;

struct StagedWork {
  using Direction = StagingLane::Direction;

  CuDevice device = 0;        // that has the memory, or has it open
  bool is_gpu_local = false;  // of each range, the local side is the GPU's
  Direction direction = Direction::kToGpu;
  HostMove move_host;
  // How many multiprocessors the page kernel takes for each thread, where there are
  // many ranges; at most PageKernel::kMostFewBlocks. 0: the copy engines do it all.
  std::uint32_t max_blocks = 4;
  bool checks_lease = false;  // move_host does
  // Of a peer in this process: what it has exposed, which is held while a piece moves.
  std::shared_ptr<const local::Exposure> exposure{};
  std::vector<std::shared_ptr<const ForeignMapping>> held;  // until the end
  // As CopyWork has them, in order.
  std::vector<std::uint64_t> walls{};
};

class StagedCopy final : public host::Copy {
 public:
  // As Copy(). It takes pieces as `threads` of them make the best of it.
  StagedCopy(std::shared_ptr<Staging> staging, StagedWork work,
             const host::Ranges& ranges, unsigned threads,
             std::atomic<std::uint64_t>& progress);

  bool checks_lease() const noexcept override {
    return work_.checks_lease || work_.exposure != nullptr;
  }
  Cause cause() const override;
  // Of Fault::kGpu, since the end.
  const std::optional<CopyFailure>& failure() const noexcept { return failure_; }

 private:
  host::Moved move(std::span<const host::Range> piece) noexcept override;
  void let_go() noexcept override { held_.clear(); }
  void move_to_gpu(StagingLane& lane, std::span<const host::Range> piece,
                   host::Moved& moved);
  void move_from_gpu(StagingLane& lane, std::span<const host::Range> piece,
                     host::Moved& moved);

  const std::shared_ptr<Staging> staging_;
  std::vector<std::shared_ptr<const ForeignMapping>> held_;
  const StagedWork work_;
  std::mutex mutex_;
  std::optional<CopyFailure> failure_;  // guarded by mutex_, constant since the end
};

}  // namespace nixl_connect::paths::cuda
