// SPDX-License-Identifier: Apache-2.0
//
// A user's thread that waits for an operation and sleeps in place of the progress
// thread meanwhile: what it waits for wakes it directly, without a way over another
// thread. One thread at a time. Thread-safe.
#pragma once

#include <atomic>

#include "core/terms.h"
#include "runtime/bell.h"

namespace nixl_connect::runtime {

class OperationState;

class Watch {
 public:
  // Either may be -1: readable when UCX or a peer of this host has work.
  Watch(int worker_fd, int local_fd) : worker_fd_(worker_fd), local_fd_(local_fd) {}

  // Between these two the watch is on.
  void begin(const OperationState& awaited) noexcept;
  void end() noexcept;
  bool is_on() const noexcept { return awaited_.load() != nullptr; }

  // Returns when there is something to do, or the deadline has come; sometimes without
  // a reason.
  void sleep_until(core::Time deadline) noexcept;

  // Wakes the thread: it has something to do; or only if this is what it waits for.
  void wake() noexcept { bell_.ring(); }
  void ended(const OperationState& operation) noexcept {
    if (awaited_.load() == &operation) wake();
  }

 private:
  const int worker_fd_;
  const int local_fd_;
  Bell bell_;
  bool did_ring_ = false;  // in the last sleep; used by the thread that sleeps
  std::atomic<const OperationState*> awaited_{nullptr};  // compared only
};

}  // namespace nixl_connect::runtime
