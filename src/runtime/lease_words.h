// SPDX-License-Identifier: Apache-2.0
//
// The lease words of this process, in one registered table that peers can get from: a
// word holds its lease's token for exactly as long as the lease lasts. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "core/commands.h"
#include "paths/ucx/context.h"
#include "wire/extension.h"

namespace nixl_connect::runtime {

class LeaseWords {
 public:
  explicit LeaseWords(const paths::ucx::Context& context);
  LeaseWords(const LeaseWords&) = delete;
  LeaseWords& operator=(const LeaseWords&) = delete;

  // Gives a lease with a fresh secret token, already in its word. Throws
  // Error(kNoResources) when kSlots leases are alive.
  wire::LeaseRecord grant();

  // Clears the word. Once this has returned, no reader takes data for valid that it
  // gets later.
  void end(core::LeaseId lease) noexcept;

  static constexpr std::size_t kSlots = 1 << 16;

 private:
  std::vector<std::uint64_t> words_;  // accessed as atomics only
  const paths::ucx::Registration registration_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<std::uint32_t> free_slots_;
  std::uint64_t granted_ = 0;
};

}  // namespace nixl_connect::runtime
