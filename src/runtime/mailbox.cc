// SPDX-License-Identifier: Apache-2.0
#include "runtime/mailbox.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/fork.h"
#include "runtime/operation_state.h"

namespace nixl_connect::runtime {

Mailbox::Mailbox()
    : fork_generation_(base::fork_generation()),
      event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (event_.get() < 0)
    throw Error(ErrorKind::kNoResources,
                std::string("opening a Connector: eventfd: ") + std::strerror(errno));
}

bool Mailbox::is_forked_child() const noexcept {
  return base::fork_generation() != fork_generation_;
}

void Mailbox::check_process() const {
  if (is_forked_child())
    throw Error(
        ErrorKind::kUnsupported,
        "a Connector does not survive fork(); make a new one in a process started "
        "by exec (in Python: multiprocessing start method \"spawn\")");
}

void Mailbox::check_usable() const {
  check_process();
  const std::lock_guard lock(mutex_);
  if (is_shut_) throw Error(ErrorKind::kInvalidArgument, "the Connector is closed");
}

void Mailbox::post(Request request, Urgency urgency) {
  check_process();
  {
    const std::lock_guard lock(mutex_);
    if (is_shut_) throw Error(ErrorKind::kInvalidArgument, "the Connector is closed");
    requests_.push_back(std::move(request));
  }
  announce(urgency);
}

bool Mailbox::post_close() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_shut_, true)) return false;
    requests_.emplace_back(CloseRequest{});
  }
  announce(Urgency::kNow);
  return true;
}

void Mailbox::announce(Urgency urgency) noexcept {
  // Sequentially consistent, as in may_sleep(): of a poster and a thread about to
  // sleep, at least one sees the other.
  has_mail_.store(true);
  if (urgency == Urgency::kLazy || !sleeps_.load()) return;
  const std::uint64_t one = 1;
  // Fails only if the counter is full, and then the thread wakes anyway.
  [[maybe_unused]] const auto written = ::write(event_.get(), &one, sizeof one);
}

void Mailbox::post_cancel(core::OperationId operation) noexcept {
  try {
    post(CancelRequest{operation});
  } catch (const std::exception&) {
    // Closed or forked: see the contract. Out of memory: the deadline remains.
  }
}

bool Mailbox::take(std::vector<Request>& requests) {
  if (!has_mail_.load(std::memory_order_acquire)) return false;
  has_mail_.store(false);
  const std::lock_guard lock(mutex_);
  requests.swap(requests_);
  return !requests.empty();
}

bool Mailbox::may_sleep() noexcept {
  sleeps_.store(true);
  if (!has_mail_.load()) return true;
  sleeps_.store(false);
  return false;
}

void Mailbox::awake() noexcept {
  sleeps_.store(false);
  std::uint64_t count = 0;
  [[maybe_unused]] const auto drained = ::read(event_.get(), &count, sizeof count);
}

}  // namespace nixl_connect::runtime
