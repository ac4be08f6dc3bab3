// SPDX-License-Identifier: Apache-2.0
//
// A stream of a GPU and the copies that share it: mostly the smallest has the next
// batch, which is not to wait for a large one, otherwise the oldest. The CUDA thread,
// with the GPU's context current except where it says otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "paths/cuda/completion_word.h"
#include "paths/cuda/copy_batches.h"
#include "paths/cuda/device_copy.h"
#include "paths/cuda/imports.h"
#include "paths/cuda/kernel_choice.h"
#include "paths/cuda/pace.h"
#include "paths/cuda/pinned_maps.h"
#include "paths/local/exposures.h"

namespace nixl_connect::paths::cuda {

// A copy whose addresses are those of this process.
struct StartedCopy {
  CopyTag tag = 0;
  std::shared_ptr<DeviceCopy> copy;
  std::vector<Imports::Mapping> held;   // until its work is done
  std::vector<PinnedMaps::Pin> pinned;  // the same
  local::ExposureHold exposure;         // the same
  KernelChoice kernel;                  // that copies pages
  CopyWork::HostSide host_side = CopyWork::HostSide::kNone;
  CopyBatches batches;
  unsigned under_way = 0;  // batches

  // It was told to stop, has failed, or may touch the memory no more.
  bool is_over() const noexcept {
    return copy->was_stopped() || copy->failure() || exposure.is_over();
  }
  bool wants_more() const noexcept { return !batches.is_empty() && !is_over(); }
};

class CopyStream {
 public:
  // Throws as Driver::check().
  explicit CopyStream(const Driver& driver);
  CopyStream(const CopyStream&) = delete;
  CopyStream& operator=(const CopyStream&) = delete;
  // Nothing is under way, or the context is poisoned.
  ~CopyStream() = default;

  CuStream get() const noexcept { return stream_.get(); }
  void add(std::unique_ptr<StartedCopy> copy) { copies_.push_back(std::move(copy)); }

  // Whose batch is to be submitted; none (nullptr) if nobody has one, or what is under
  // way is enough to keep the GPU busy.
  StartedCopy* next();

  // The stream has been given a batch of that copy. Not kCuSuccess: the word will not
  // be written for it, so that only look_closely() will see its end.
  CuResult submitted(StartedCopy& copy, std::uint64_t bytes, std::uint64_t weight);

  // Takes note of the batches that are done. True if there were any. Needs no context.
  bool look();
  bool is_any_done() const noexcept {
    return !under_way_.empty() && word_.has(under_way_.front().number);
  }
  // By asking the driver, who also tells what went wrong. Not kCuSuccess or
  // kCuNotReady: nothing is under way any more, nor will it ever be.
  CuResult look_closely();

  // Removes the copies at their end: nothing of them is under way, nor will it be.
  std::vector<std::unique_ptr<StartedCopy>> take_ended();
  // The context is poisoned. Removes them all.
  std::vector<std::unique_ptr<StartedCopy>> give_up();

  using Clock = std::chrono::steady_clock;
  // When the oldest batch is likely to be done; Clock::time_point::max() without one.
  Clock::time_point next_end() const noexcept;
  // Whether that is soon and the end of a copy. Of each that is said once.
  bool take_near_end();

  bool is_idle() const noexcept { return under_way_.empty(); }
  bool has_copies() const noexcept { return !copies_.empty(); }

 private:
  struct Batch {
    StartedCopy* copy = nullptr;
    std::uint32_t number = 0;
    std::uint64_t bytes = 0;
    std::uint64_t weight = 0;
    bool is_last = false;  // of its copy
  };

  void oldest_is_done();

  const Driver& driver_;
  Stream stream_;
  CompletionWord word_;
  std::vector<std::unique_ptr<StartedCopy>> copies_;  // the oldest first
  std::deque<Batch> under_way_;                       // in the stream's order
  Clock::time_point oldest_since_{};                  // the stream is at it
  Pace pace_;
  std::uint64_t weight_under_way_ = 0;
  std::uint32_t last_number_ = 0;
  std::uint32_t last_near_ = 0;  // of what take_near_end() has said
  unsigned picks_ = 0;
};

}  // namespace nixl_connect::paths::cuda
