// SPDX-License-Identifier: Apache-2.0
#include "runtime/mailbox.h"

#include <utility>

#include "base/fork.h"
#include "nixl_connect/error.h"
#include "runtime/operation_state.h"

namespace nixl_connect::runtime {

Mailbox::Mailbox() : fork_generation_(base::fork_generation()) {}

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

void Mailbox::post(Request request) {
  check_process();
  const std::lock_guard lock(mutex_);
  if (is_shut_) throw Error(ErrorKind::kInvalidArgument, "the Connector is closed");
  requests_.push_back(std::move(request));
  has_mail_.store(true);
}

bool Mailbox::post_close() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(is_shut_, true)) return false;
  requests_.emplace_back(CloseRequest{});
  has_mail_.store(true);
  return true;
}

bool Mailbox::take(std::vector<Request>& requests) {
  if (!has_mail()) return false;
  const std::lock_guard lock(mutex_);
  has_mail_.store(false);
  requests.swap(requests_);
  return !requests.empty();
}

}  // namespace nixl_connect::runtime
