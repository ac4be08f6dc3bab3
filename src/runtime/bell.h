// SPDX-License-Identifier: Apache-2.0
//
// Wakes a thread that sleeps. Whoever has work for it first stores that fact (in a
// sequentially consistent atomic), then rings; the thread calls before_sleep(), then
// looks for work: of the two, at least one sees the other. Thread-safe.
#pragma once

#include <atomic>

#include "base/unique_fd.h"

namespace nixl_connect::runtime {

class Bell {
 public:
  // Throws Error(kNoResources).
  Bell();

  // A load and no more while the thread is awake.
  void ring() noexcept;

  // For the thread that sleeps: between these two, ring() makes fd() readable.
  void before_sleep() noexcept { sleeps_.store(true); }
  // `is_readable` false: a ring, if one came at the very end, makes it so the next
  // time.
  void after_sleep(bool is_readable = true) noexcept;
  int fd() const noexcept { return event_.get(); }

 private:
  const base::UniqueFd event_;
  std::atomic<bool> sleeps_{false};
};

}  // namespace nixl_connect::runtime
