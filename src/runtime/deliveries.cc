// SPDX-License-Identifier: Apache-2.0
#include "runtime/deliveries.h"

#include <exception>
#include <string>
#include <utility>

#include "base/log.h"
#include "runtime/operation_state.h"

namespace nixl_connect::runtime {

void run_callbacks(std::span<const std::function<void(OperationStatus)>> callbacks,
                   OperationStatus status) noexcept {
  for (const auto& callback : callbacks) try {
      callback(status);
    } catch (const std::exception& error) {
      base::log_error(std::string("a completion callback threw, which is ignored: ") +
                      error.what());
    } catch (...) {
      base::log_error("a completion callback threw, which is ignored");
    }
}

bool Deliveries::add(Delivery&& delivery) {
  const std::lock_guard lock(mutex_);
  if (is_shut_) return false;
  if (!delivery.callbacks.empty()) is_urgent_.store(true);
  due_.push_back(std::move(delivery));
  is_due_.store(true);
  return true;
}

void Deliveries::run() noexcept {
  if (!is_due()) return;
  {
    const std::lock_guard lock(mutex_);
    running_.swap(due_);
    is_due_.store(false);
    is_urgent_.store(false);
  }
  for (const Delivery& delivery : running_)
    run_callbacks(delivery.callbacks, delivery.status);
  running_.clear();
}

void Deliveries::shut() noexcept {
  {
    const std::lock_guard lock(mutex_);
    is_shut_ = true;
  }
  run();
}

}  // namespace nixl_connect::runtime
