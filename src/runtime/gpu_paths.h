// SPDX-License-Identifier: Apache-2.0
//
// The paths between memories of GPUs, and between that of a GPU and of the host: what
// speaks for and against them, and copies by them. Used by whoever has the turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "core/plan.h"
#include "runtime/host_sides.h"

namespace nixl_connect::paths::cuda {
class DeviceCopy;
}

namespace nixl_connect::runtime {

class Gpus;
struct Movement;

class GpuPaths {
 public:
  explicit GpuPaths(Gpus& gpus) : gpus_(gpus) {}

  // Adds what is known of the memory's kinds, and if there is any of GPUs, of these.
  // `is_own`: the peer is in this process.
  void add_facts(const Movement& movement, bool is_own, core::Facts& facts) const;

  // On one side at least all memory is of GPUs. Null if the peer's cannot be opened, or
  // the host's not be mapped. Of the rules those that say what a copy may take of its
  // GPU.
  std::shared_ptr<paths::cuda::DeviceCopy> copy(const Movement& movement, Peer& peer,
                                                const core::PathRules& rules,
                                                std::atomic<std::uint64_t>& progress);

 private:
  int copying_gpu(const Movement& movement, bool is_own) const;
  bool add_foreign(const Movement& movement, paths::cuda::CopyWork& work) const;
  bool add_host_side(const Movement& movement, Peer& peer, paths::cuda::CopyWork& work);

  Gpus& gpus_;
  HostSides host_sides_;
};

}  // namespace nixl_connect::runtime
