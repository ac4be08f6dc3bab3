// SPDX-License-Identifier: Apache-2.0
//
// The lease words of this process, in one table that peers can get from and, on the
// same host, map (remote_leases.h): a word holds its lease's token for exactly as long
// as the lease lasts. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/shared_memory.h"
#include "core/terms.h"
#include "paths/ucx/context.h"
#include "wire/extension.h"

namespace nixl_connect::runtime {

// In front of the words.
constexpr std::size_t kLeaseTableHeadBytes = 64;
static_assert(kLeaseTableHeadBytes >= sizeof(wire::InstanceId));
constexpr const char* kLeaseTableName = "nixl_connect_leases";

class LeaseWords {
 public:
  LeaseWords(const paths::ucx::Context& context, const wire::InstanceId& instance);
  LeaseWords(const LeaseWords&) = delete;
  LeaseWords& operator=(const LeaseWords&) = delete;

  // Gives a lease with a fresh secret token, already in its word. Throws
  // Error(kNoResources) when kSlots leases are alive.
  wire::LeaseRecord grant();

  // Whether the lease is alive, and that its token.
  bool holds(core::LeaseId lease, std::uint64_t token) const noexcept;

  // Clears the word. Once this has returned, no reader takes data for valid that it
  // gets later, and no copy within this process is under way (paths/local/exposures.h).
  void end(core::LeaseId lease) noexcept;

  // Where peers find the word of a lease.
  wire::LeaseTable table_of(const wire::LeaseRecord& lease) const noexcept;

  // Of the table's file.
  int fd() const noexcept { return memory_.fd(); }

  static constexpr std::size_t kSlots = 1 << 16;

 private:
  const base::SharedMemory memory_;
  std::uint64_t* const words_;  // in memory_; accessed as atomics only
  const paths::ucx::Registration registration_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<std::uint32_t> free_slots_;
  std::uint64_t granted_ = 0;
};

}  // namespace nixl_connect::runtime
