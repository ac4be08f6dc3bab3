// SPDX-License-Identifier: Apache-2.0
//
// Copies between GPUs and memory of the host that is not pinned, by threads of their
// own: a piece may have to wait for a GPU, and nobody who does something else is to
// wait with it. Used by whoever has the turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/path_rules.h"
#include "core/terms.h"
#include "paths/cuda/device_copy.h"
#include "paths/host/copy_pool.h"
#include "runtime/host_paths.h"

namespace nixl_connect::paths::cuda {
class Staging;
}

namespace nixl_connect::runtime {

class Gpus;

class StagedCopies {
 public:
  struct Settings {
    unsigned threads;
    std::uint64_t streaming_bytes;  // as core::Costs has it
  };

  // `ended` is called by other threads when has_ended().
  StagedCopies(Gpus& gpus, const Settings& settings, std::function<void()> ended);
  StagedCopies(const StagedCopies&) = delete;
  StagedCopies& operator=(const StagedCopies&) = delete;
  // Waits for pieces under way, and leaves the rest.
  ~StagedCopies();

  // By the GPU with that number, which has all memory that is a GPU's; if that is of
  // another process, as it was `prepared`. Of the rules those that say what a copy may
  // take of its GPU. Null if the peer's memory is out of reach.
  std::shared_ptr<paths::host::Copy> copy(const Movement& movement, const Peer& peer,
                                          int gpu, const core::PathRules& rules,
                                          paths::cuda::DeviceCopy::Prepared prepared,
                                          std::atomic<std::uint64_t>& progress);

  // Its end is told by take_ended(), unless the caller's Copy::stop() sees it. Throws
  // Error(kNoResources) if the system has no thread left.
  void add(core::OperationId operation, std::shared_ptr<paths::host::Copy> copy);

  bool has_ended() const noexcept { return pool_.has_ended(); }
  // Empties `operations` first.
  void take_ended(std::vector<core::OperationId>& operations) {
    pool_.take_ended(operations);
  }

 private:
  Gpus& gpus_;
  const Settings settings_;
  std::shared_ptr<paths::cuda::Staging> staging_;  // null until the first
  paths::host::CopyPool pool_;
};

}  // namespace nixl_connect::runtime
