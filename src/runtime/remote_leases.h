// SPDX-License-Identifier: Apache-2.0
//
// A peer's lease words, mapped: on one host a look into them is a load, where a get
// takes microseconds. Used by whoever has the turn.
#pragma once

#include <cstdint>
#include <optional>

#include "base/shared_memory.h"
#include "wire/extension.h"

namespace nixl_connect::runtime {

class RemoteLeases {
 public:
  // Maps the table that a peer names. Without effect where there is none, or where it
  // cannot be reached: another host, another pid namespace, another user.
  void open(const wire::Extension& peer);

  // The same of the file that the peer of that instance has handed over.
  void open(const wire::InstanceId& peer, const base::UniqueFd& file);

  bool is_open() const noexcept { return table_.has_value(); }

  // Whose table it is, as this process sees it. Nothing if it was not found so.
  std::optional<std::uint32_t> pid() const noexcept { return pid_; }

  // Whether the lease is alive, for a reader who has its data. Nothing if its word is
  // not to be seen here.
  std::optional<bool> is_valid(const wire::Extension& peer) const noexcept;

 private:
  bool take(std::optional<base::SharedMemory> table, const wire::InstanceId& peer);

  std::optional<base::SharedMemory> table_;
  std::optional<std::uint32_t> pid_;
};

}  // namespace nixl_connect::runtime
