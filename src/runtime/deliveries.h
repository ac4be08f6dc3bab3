// SPDX-License-Identifier: Apache-2.0
//
// Operations that have ended, for the last part of it, which is users' code: completion
// callbacks, and the owners of memory that go with the last share of a state. It runs
// on the progress thread, under no lock and outside the dispatcher's turns, whoever had
// the turn in which the end came. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "nixl_connect/status.h"

namespace nixl_connect::runtime {

class OperationState;

struct Delivery {
  std::shared_ptr<OperationState> state;  // released after the callbacks; may be null
  std::vector<std::function<void(OperationStatus)>> callbacks;
  OperationStatus status = OperationStatus::kComplete;
};

// What a callback throws is logged and dropped.
void run_callbacks(std::span<const std::function<void(OperationStatus)>> callbacks,
                   OperationStatus status) noexcept;

class Deliveries {
 public:
  // False, with nothing taken, after shut().
  bool add(Delivery&& delivery);

  bool is_due() const noexcept { return is_due_.load(); }
  // Callbacks are due, for which somebody waits.
  bool is_urgent() const noexcept { return is_urgent_.load(); }

  // For the progress thread. Runs what was due at the call.
  void run() noexcept;
  // From here on add() is refused. Runs what was added before.
  void shut() noexcept;

 private:
  std::atomic<bool> is_due_{false};
  std::atomic<bool> is_urgent_{false};
  std::vector<Delivery> running_;  // empty outside run(); keeps its storage

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<Delivery> due_;
  bool is_shut_ = false;
};

}  // namespace nixl_connect::runtime
