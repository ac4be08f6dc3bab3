// SPDX-License-Identifier: Apache-2.0
#include "runtime/operation_state.h"

#include <algorithm>

#include "base/log.h"
#include "runtime/mailbox.h"

namespace nixl_connect::runtime {

namespace {

std::uint64_t total_size(const std::vector<Descriptor>& descriptors) {
  std::uint64_t total = 0;
  for (const Descriptor& descriptor : descriptors) total += descriptor.size();
  return total;
}

}  // namespace

OperationState::OperationState(Identity identity, std::vector<Descriptor> descriptors,
                               std::shared_ptr<Mailbox> mailbox)
    : identity_(std::move(identity)),
      descriptors_(std::move(descriptors)),
      size_(total_size(descriptors_)),
      mailbox_(std::move(mailbox)) {}

RdmaMetadata OperationState::metadata(bool hex_encode) {
  RdmaMetadata result;
  result.descriptors.reserve(descriptors_.size());
  // Nobody goes to the address of an empty range, but no peer accepts 0 for it.
  for (const Descriptor& descriptor : descriptors_)
    result.descriptors.push_back({to_string(descriptor.device()),
                                  std::max<std::uint64_t>(descriptor.ptr(), 1),
                                  descriptor.size()});
  result.nixl_metadata =
      exposed_->text(hex_encode ? wire::BlobText::kHex : wire::BlobText::kBase64);
  result.notification_key = identity_.notification_key;
  result.operation_kind = identity_.kind;
  return result;
}

void OperationState::check_may_wait() const {
  if (is_terminal(status())) return;
  mailbox_->check_process();
  if (mailbox_->is_progress_thread())
    throw Error(ErrorKind::kInvalidArgument,
                "waiting inside a completion callback would wait for itself; use "
                "on_complete() or another thread");
}

OperationStatus OperationState::wait() {
  check_may_wait();
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [&] { return is_terminal(status()); });
  if (failure_) throw Error(*failure_);
  return status();
}

bool OperationState::wait_for(std::chrono::nanoseconds duration) {
  check_may_wait();
  // A longer wait than this would overflow the clock, and nobody sees its end.
  constexpr std::chrono::nanoseconds kLongest = std::chrono::hours(24 * 365);
  std::unique_lock lock(mutex_);
  if (!finished_.wait_for(lock, std::min(duration, kLongest),
                          [&] { return is_terminal(status()); }))
    return false;
  if (failure_) throw Error(*failure_);
  return true;
}

void OperationState::on_complete(Callback callback) {
  if (!callback)
    throw Error(ErrorKind::kInvalidArgument, "on_complete() needs a callback");
  mailbox_->check_process();
  {
    const std::lock_guard lock(mutex_);
    if (!is_terminal(status())) {
      callbacks_.push_back(std::move(callback));
      return;
    }
  }
  mailbox_->post(
      [callback = std::move(callback), status = status()] { run(callback, status); });
}

void OperationState::cancel() noexcept {
  if (!is_terminal(status())) mailbox_->post_cancel(identity_.id);
}

std::string OperationState::path() const {
  const std::lock_guard lock(mutex_);
  return path_;
}

void OperationState::began() noexcept {
  status_.store(OperationStatus::kInProgress, std::memory_order_release);
}

void OperationState::set_path(const std::string& path) {
  const std::lock_guard lock(mutex_);
  path_ = path;
}

void OperationState::finish(const core::Outcome& outcome) {
  std::vector<Callback> callbacks;
  {
    const std::lock_guard lock(mutex_);
    if (outcome.failure)
      failure_.emplace(outcome.failure->kind, outcome.failure->message);
    callbacks.swap(callbacks_);
    status_.store(outcome.status, std::memory_order_release);
  }
  finished_.notify_all();
  for (const Callback& callback : callbacks) run(callback, outcome.status);
}

void OperationState::run(const Callback& callback, OperationStatus status) noexcept {
  try {
    callback(status);
  } catch (const std::exception& error) {
    base::log_error(std::string("a completion callback threw, which is ignored: ") +
                    error.what());
  } catch (...) {
    base::log_error("a completion callback threw, which is ignored");
  }
}

}  // namespace nixl_connect::runtime
