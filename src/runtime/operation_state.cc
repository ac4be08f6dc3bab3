// SPDX-License-Identifier: Apache-2.0
#include "runtime/operation_state.h"

#include <algorithm>
#include <iterator>

#include "runtime/deliveries.h"
#include "runtime/driver.h"
#include "runtime/stream_order.h"

namespace nixl_connect::runtime {

OperationState::OperationState(Identity identity,
                               std::span<const Descriptor> descriptors,
                               std::shared_ptr<Driver> driver, std::uint64_t view_size)
    : identity_(std::move(identity)),
      memory_(descriptors),
      size_(memory_.size() + view_size),
      driver_(std::move(driver)) {}

OperationState::OperationState(Identity identity, const Pages& pages,
                               std::shared_ptr<Driver> driver)
    : identity_(std::move(identity)),
      memory_(pages),
      size_(memory_.size()),
      driver_(std::move(driver)) {}

OperationState::~OperationState() = default;

void OperationState::set_stream_waits(std::shared_ptr<StreamWaits> waits) {
  stream_waits_ = std::move(waits);
}

std::string OperationState::description() const {
  const bool is_read = identity_.kind == OperationKind::kRead;
  const std::string size = std::to_string(size_) + " bytes";
  if (identity_.remote.empty())
    return size + " exposed for " + (is_read ? "reading" : "writing");
  const char* const verb = identity_.is_view ? "viewing "
                           : is_read         ? "reading "
                                             : "writing ";
  const char* const whose = identity_.is_view ? " of " : is_read ? " from " : " to ";
  return verb + size + whose + "peer " + identity_.remote;
}

RdmaMetadata OperationState::metadata(bool hex_encode) {
  RdmaMetadata result;
  result.descriptors.reserve(memory_.descriptors().size());
  // Nobody goes to the address of an empty range, but no peer accepts 0 for it.
  for (const Descriptor& descriptor : memory_.descriptors())
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
  driver_->mailbox().check_process();
  if (driver_->is_progress_thread())
    throw Error(ErrorKind::kInvalidArgument,
                "waiting inside a completion callback would wait for itself; use "
                "on_complete() or another thread");
}

// With a text of its own: a copy of an exception shares it, and the state may go while
// the user still reads it. That is safe, but race detectors cannot see why.
void OperationState::throw_failure() const {
  if (failure_) throw Error(failure_->kind(), failure_->what());
}

OperationStatus OperationState::wait() {
  check_may_wait();
  driver_->help(*this, core::kNever);
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [&] { return is_terminal(status()); });
  throw_failure();
  return status();
}

bool OperationState::wait_for(std::chrono::nanoseconds duration) {
  check_may_wait();
  // A longer wait than this would overflow the clock, and nobody sees its end.
  constexpr std::chrono::nanoseconds kLongest = std::chrono::hours(24 * 365);
  const auto end = std::chrono::steady_clock::now() + std::min(duration, kLongest);
  driver_->help(*this, end.time_since_epoch());
  std::unique_lock lock(mutex_);
  if (!finished_.wait_until(lock, end, [&] { return is_terminal(status()); }))
    return false;
  throw_failure();
  return true;
}

void OperationState::on_complete(Callback callback) {
  call_when([this] { return is_terminal(status()); }, callbacks_, std::move(callback));
}

void OperationState::on_complete_anywhere(Callback callback) {
  const auto is_due = [this] { return is_terminal(status()); };
  if (!keep_until(is_due, any_thread_callbacks_, callback))
    run_callbacks({&callback, 1}, status());
}

void OperationState::on_quiet(Callback callback) {
  call_when([this] { return is_quiet(); }, quiet_callbacks_, std::move(callback));
}

void OperationState::on_revoked(Callback callback) {
  call_when([this] { return is_revoked() || is_quiet(); }, revoked_callbacks_,
            std::move(callback));
}

void OperationState::call_when(const std::function<bool()>& is_due,
                               std::vector<Callback>& waiting, Callback callback) {
  if (!keep_until(is_due, waiting, callback))
    driver_->deliver({nullptr, {std::move(callback)}, status()});
}

// False, with the callback left to the caller, if it is due.
bool OperationState::keep_until(const std::function<bool()>& is_due,
                                std::vector<Callback>& waiting, Callback& callback) {
  if (!callback)
    throw Error(ErrorKind::kInvalidArgument,
                "on_complete(), on_quiet() and on_revoked() need a callback");
  driver_->mailbox().check_process();
  const std::lock_guard lock(mutex_);
  if (is_due()) return false;
  waiting.push_back(std::move(callback));
  return true;
}

void OperationState::wait_on(const CudaStream& stream) {
  if (!stream_waits_)
    throw Error(ErrorKind::kInvalidArgument,
                "streams wait for operations on memory of a GPU only; use wait()");
  if (identity_.stays_open)
    throw Error(ErrorKind::kInvalidArgument,
                "no stream can wait for a readable that stays open: it has no end of "
                "its own; say how many `readers` there will be");
  if (is_terminal(status())) return;
  driver_->mailbox().check_process();
  if (!stream_waits_->are_allowed() && driver_->is_progress_thread())
    throw Error(ErrorKind::kInvalidArgument,
                "the transfer has not got what it needs of CUDA yet, and inside a "
                "completion callback a wait for that may be one for this thread; call "
                "wait_on() on another thread");
  stream_waits_->add(stream);
}

void OperationState::release_streams() noexcept {
  if (stream_waits_) stream_waits_->end();
}

void OperationState::cancel() noexcept {
  if (!is_terminal(status()) || (identity_.stays_open && !is_quiet()))
    driver_->cancel(identity_.id);
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

void OperationState::set_plan(const core::Choice& choice,
                              const core::PathRules& rules) {
  const std::lock_guard lock(mutex_);
  planned_.emplace(Planned{choice, rules});
}

Plan OperationState::explain() const {
  const std::lock_guard lock(mutex_);
  if (planned_) return core::to_plan(planned_->choice, planned_->rules);
  Plan plan;
  plan.path = path_;
  plan.bytes = size_;
  plan.ranges = memory_.count();
  return plan;
}

void OperationState::tell_end(std::span<const Callback> at_once) noexcept {
  finished_.notify_all();
  driver_->ended(*this);
  run_callbacks(at_once, status());
}

std::vector<OperationState::Callback> OperationState::succeed() {
  std::vector<Callback> at_once;
  std::vector<Callback> due;
  {
    const std::lock_guard lock(mutex_);
    at_once.swap(any_thread_callbacks_);
    due.swap(callbacks_);
    status_.store(OperationStatus::kComplete, std::memory_order_release);
  }
  tell_end(at_once);
  return due;
}

std::vector<OperationState::Callback> OperationState::revoke() {
  const std::lock_guard lock(mutex_);
  is_revoked_.store(true, std::memory_order_release);
  return std::exchange(revoked_callbacks_, {});
}

std::vector<OperationState::Callback> OperationState::finish(
    const core::Outcome& outcome) {
  std::vector<Callback> at_once;
  std::vector<Callback> due;
  {
    const std::lock_guard lock(mutex_);
    at_once.swap(any_thread_callbacks_);
    due.swap(callbacks_);
    due.insert(due.end(), std::make_move_iterator(quiet_callbacks_.begin()),
               std::make_move_iterator(quiet_callbacks_.end()));
    quiet_callbacks_.clear();
    due.insert(due.end(), std::make_move_iterator(revoked_callbacks_.begin()),
               std::make_move_iterator(revoked_callbacks_.end()));
    revoked_callbacks_.clear();
    is_quiet_.store(true, std::memory_order_release);
    if (!is_terminal(status())) {
      if (outcome.failure)
        failure_.emplace(outcome.failure->kind, outcome.failure->message);
      status_.store(outcome.status, std::memory_order_release);
    }
  }
  release_streams();
  tell_end(at_once);
  return due;
}

std::shared_ptr<OperationState> OperationState::leave(
    std::shared_ptr<OperationState> share) noexcept {
  left_share_ = std::move(share);
  return is_left_.exchange(true) ? std::move(left_share_) : nullptr;
}

std::shared_ptr<OperationState> OperationState::drop() noexcept {
  return is_left_.exchange(true) ? std::move(left_share_) : nullptr;
}

}  // namespace nixl_connect::runtime
