// SPDX-License-Identifier: Apache-2.0
//
// The path between memories of GPUs: what speaks for and against it, and copies by it.
// Used by whoever has the turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "core/plan.h"

namespace nixl_connect::paths::cuda {
class DeviceCopy;
}

namespace nixl_connect::runtime {

class Gpus;
struct Movement;

class GpuPaths {
 public:
  explicit GpuPaths(Gpus& gpus) : gpus_(gpus) {}

  // Adds what is known of the memory's kinds, and if all is of GPUs, of these.
  // `is_own`: the peer is in this process.
  void add_facts(const Movement& movement, bool is_own, core::Facts& facts) const;

  // All memory is of GPUs. Null if the peer's cannot be opened. Of the rules those that
  // say what a copy may take of its GPU.
  std::shared_ptr<paths::cuda::DeviceCopy> copy(
      const Movement& movement, bool is_own, const core::PathRules& rules,
      std::atomic<std::uint64_t>& progress) const;

 private:
  Gpus& gpus_;
};

}  // namespace nixl_connect::runtime
