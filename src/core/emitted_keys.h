// SPDX-License-Identifier: Apache-2.0
//
// Which remote keys left this process under the present agent name. A genuine NIXL
// agent that meets one range of one agent with two different keys drops that agent as a
// whole, so a range whose key is new needs a new agent name. Bounded. Not thread-safe;
// used under the runtime's registration lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "core/registrations.h"

namespace nixl_connect::core {

class EmittedKeys {
 public:
  explicit EmittedKeys(std::size_t max_ranges = 1'000'000) : max_ranges_(max_ranges) {}

  // Notes that metadata with this range and a key of this hash is about to leave.
  // False, and nothing noted: under the present name it would poison peers (or there is
  // no room to know). Take a new agent name, call new_name() and note it again.
  [[nodiscard]] bool note(const MemoryRange& range, std::uint64_t key_hash);

  // The agent has another name now: nothing has left under it.
  void new_name() { hashes_.clear(); }

 private:
  const std::size_t max_ranges_;
  std::unordered_map<MemoryRange, std::uint64_t, MemoryRangeHash> hashes_;
};

}  // namespace nixl_connect::core
