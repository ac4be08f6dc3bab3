// SPDX-License-Identifier: Apache-2.0
#include "runtime/watch.h"

#include "runtime/sleeper.h"

namespace nixl_connect::runtime {

void Watch::begin(const OperationState& awaited) noexcept {
  awaited_.store(&awaited);
  bell_.before_sleep();
}

void Watch::end() noexcept {
  bell_.after_sleep(did_ring_);
  did_ring_ = false;
  // Last of all: from here on the bell may be another thread's.
  awaited_.store(nullptr);
}

void Watch::sleep_until(core::Time deadline) noexcept {
  did_ring_ = sleep_until_readable({bell_.fd(), worker_fd_, local_fd_}, deadline);
}

}  // namespace nixl_connect::runtime
