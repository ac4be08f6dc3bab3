// SPDX-License-Identifier: Apache-2.0
//
// How the progress thread sleeps: until the bell rings, UCX or a peer of this host has
// work, or a time has come. Used on the progress thread only.
#pragma once

#include "base/unique_fd.h"
#include "core/commands.h"

namespace nixl_connect::runtime {

class Sleeper {
 public:
  // `local_fd` may be -1. Throws Error(kNoResources).
  Sleeper(int bell_fd, int worker_fd, int local_fd);

  // Returns when one of them is readable or steady_clock has reached `deadline`.
  void sleep_until(core::Time deadline);

  // The same for the bell alone; sometimes it returns without a reason.
  void nap(core::Time deadline);

 private:
  void watch(int fd, unsigned flags);
  void watch_once(int fd) noexcept;
  void set_timer(core::Time deadline);
  void sleep();

  const int worker_fd_;
  const int local_fd_;

  base::UniqueFd epoll_;
  base::UniqueFd timer_;
  core::Time timer_is_set_to_ = core::kNever;
};

}  // namespace nixl_connect::runtime
