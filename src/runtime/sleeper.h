// SPDX-License-Identifier: Apache-2.0
//
// How threads sleep until UCX or a peer of this host has work. The progress thread does
// so by a Sleeper, until its bell rings or a time has come; a user's thread that waits
// does so in its place (driver.h).
#pragma once

#include <initializer_list>

#include "base/unique_fd.h"
#include "core/commands.h"

namespace nixl_connect::runtime {

// Of the progress thread.
class Sleeper {
 public:
  // `local_fd` may be -1. Throws Error(kNoResources).
  Sleeper(int bell_fd, int worker_fd, int local_fd);

  // Whether that of UCX or of a local channel, once it is readable, ends a sleep, also
  // one that goes on just now; it does so once. For whoever has the turn.
  void watch_sources() noexcept;
  void leave_sources() noexcept;

  // For the progress thread. Returns when the bell has rung, steady_clock has reached
  // `deadline`, or there is something at a source; sometimes without a reason.
  void sleep_until(core::Time deadline) noexcept;

 private:
  void add(int fd, unsigned events);
  void watch(unsigned events) noexcept;
  void set_timer(core::Time deadline) noexcept;

  const int worker_fd_;
  const int local_fd_;

  base::UniqueFd epoll_;
  base::UniqueFd timer_;
  core::Time timer_is_set_to_ = core::kNever;
};

// Returns when one of them is readable or steady_clock has reached `deadline`;
// sometimes without a reason. Those below 0 do not count. True if the first one is. Any
// thread.
bool sleep_until_readable(std::initializer_list<int> fds, core::Time deadline) noexcept;

}  // namespace nixl_connect::runtime
