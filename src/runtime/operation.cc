// SPDX-License-Identifier: Apache-2.0
//
// The public operations: each member is one call on the shared state.
#include "nixl_connect/operation.h"

#include "nixl_connect/error.h"
#include "runtime/operation_state.h"
#include "runtime/view.h"

namespace nixl_connect {

Operation::Operation(std::shared_ptr<runtime::OperationState> state) noexcept
    : state_(std::move(state)) {}

Operation& Operation::operator=(Operation&& other) noexcept {
  const Operation replaced(std::move(*this));
  state_ = std::move(other.state_);
  return *this;
}

Operation::~Operation() {
  if (!state_) return;
  state_->cancel();
  const auto share_of_dispatcher = state_->drop();
}

OperationStatus Operation::status() const noexcept { return state_->status(); }

OperationKind Operation::kind() const noexcept { return state_->identity().kind; }

const std::vector<Descriptor>& Operation::descriptors() const noexcept {
  return state_->memory().descriptors();
}

const std::string& Operation::notification_key() const noexcept {
  return state_->identity().notification_key;
}

OperationStatus Operation::wait() { return state_->wait(); }

bool Operation::wait_for(std::chrono::nanoseconds duration) {
  return state_->wait_for(duration);
}

void Operation::on_complete(std::function<void(OperationStatus)> callback,
                            CallOn thread) {
  if (thread == CallOn::kAnyThread)
    state_->on_complete_anywhere(std::move(callback));
  else
    state_->on_complete(std::move(callback));
}

bool Operation::is_quiet() const noexcept { return state_->is_quiet(); }

void Operation::on_quiet(std::function<void(OperationStatus)> callback) {
  state_->on_quiet(std::move(callback));
}

void Operation::cancel() noexcept { state_->cancel(); }

std::uint64_t Operation::bytes_transferred() const noexcept {
  return state_->bytes_transferred();
}

std::string Operation::path() const { return state_->path(); }
Plan Operation::explain() const { return state_->explain(); }

void Operation::wait_on(CudaStream stream) { state_->wait_on(stream); }

bool Operation::Awaiter::await_suspend(std::coroutine_handle<> waiter) {
  try {
    operation_.on_complete([waiter](OperationStatus) { waiter.resume(); });
    return true;
  } catch (const Error&) {
    // The end came, and the Connector was closed, since await_ready().
    if (is_terminal(operation_.status())) return false;
    throw;
  }
}

RdmaMetadata PassiveOperation::metadata(bool hex_encode) const {
  return state_->metadata(hex_encode);
}

const std::string& ActiveOperation::remote() const noexcept {
  return state_->identity().remote;
}

const std::vector<Descriptor>& ReadOperation::results() const {
  if (status() != OperationStatus::kComplete)
    throw Error(ErrorKind::kInvalidArgument,
                "a read has results only once it is DONE; this one is " +
                    std::string(to_string(status())));
  return descriptors();
}

const runtime::View& ViewOperation::opened() const {
  if (status() != OperationStatus::kComplete)
    throw Error(ErrorKind::kInvalidArgument,
                "a view shows bytes only once it is DONE; this one is " +
                    std::string(to_string(status())));
  return *state_->view();
}

std::size_t ViewOperation::count() const { return opened().bytes.size(); }

std::span<const std::byte> ViewOperation::bytes(std::size_t index) const {
  const auto& all = opened().bytes;
  if (index >= all.size())
    throw Error(ErrorKind::kInvalidArgument,
                "the view has " + std::to_string(all.size()) + " descriptors, no " +
                    std::to_string(index));
  return all[index];
}

std::shared_ptr<const void> ViewOperation::owner() const {
  opened();
  return state_->view();
}

bool ViewOperation::is_revoked() const noexcept { return state_->is_revoked(); }

void ViewOperation::on_revoked(std::function<void(OperationStatus)> callback) {
  state_->on_revoked(std::move(callback));
}

}  // namespace nixl_connect
