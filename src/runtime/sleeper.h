// SPDX-License-Identifier: Apache-2.0
//
// How the progress thread sleeps: until mail arrives, UCX has work or a time has come.
// Used on the progress thread only.
#pragma once

#include "base/unique_fd.h"
#include "core/commands.h"

namespace nixl_connect::runtime {

class Sleeper {
 public:
  // Watches two file descriptors for reading. Throws Error(kNoResources).
  Sleeper(int mailbox_fd, int worker_fd);

  // Returns when one of them is readable or steady_clock has reached `deadline`.
  void sleep_until(core::Time deadline);

 private:
  void watch(int fd);
  void set_timer(core::Time deadline);

  base::UniqueFd epoll_;
  base::UniqueFd timer_;
  core::Time timer_is_set_to_ = core::kNever;
};

}  // namespace nixl_connect::runtime
