// SPDX-License-Identifier: Apache-2.0
//
// The way into the progress thread: what users ask for, in order. Thread-safe; taken
// empty by the progress thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

#include "base/unique_fd.h"
#include "core/requests.h"
#include "runtime/registrations.h"
#include "runtime/remote_agent.h"

namespace nixl_connect::runtime {

class OperationState;

struct ExposeRequest {
  std::shared_ptr<OperationState> state;
  RegistrationHold registrations;
  core::Exposure exposure;
};

struct BeginRequest {
  std::shared_ptr<OperationState> state;
  RegistrationHold registrations;
  std::shared_ptr<const RemoteAgent> agent;
  std::vector<RemoteRange> remote;  // one for each descriptor of the state
  core::Time deadline = core::kNever;
};

struct CancelRequest {
  core::OperationId operation = 0;
};

struct CloseRequest {};

using Request = std::variant<ExposeRequest, BeginRequest, CancelRequest,
                             std::function<void()>, CloseRequest>;

class Mailbox {
 public:
  Mailbox();

  // kLazy: the progress thread need not wake for it; whatever wakes it next finds it.
  enum class Urgency { kLazy, kNow };

  // Both throw Error(kInvalidArgument) once the Connector is closed, and what
  // check_process() throws.
  void post(Request request, Urgency urgency = Urgency::kNow);
  void check_usable() const;

  // Throws Error(kUnsupported) in a forked child.
  void check_process() const;

  // Does nothing where post() would throw: the operation is terminal there, or belongs
  // to the parent process.
  void post_cancel(core::OperationId operation) noexcept;

  // Posts a CloseRequest as the last request ever. False if that was done before.
  bool post_close();

  bool is_progress_thread() const noexcept {
    return std::this_thread::get_id() == thread_.load(std::memory_order_relaxed);
  }
  bool is_forked_child() const noexcept;

  // The rest is for the progress thread.

  void set_progress_thread() noexcept { thread_ = std::this_thread::get_id(); }
  // Fills `requests`, which is empty, with what was posted. False if there was nothing.
  bool take(std::vector<Request>& requests);
  // Between these two, post() makes event_fd() readable. may_sleep() gives false if
  // something was posted already.
  bool may_sleep() noexcept;
  void awake() noexcept;
  int event_fd() const noexcept { return event_.get(); }

 private:
  void announce(Urgency urgency) noexcept;

  const std::uint64_t fork_generation_;
  const base::UniqueFd event_;
  std::atomic<std::thread::id> thread_{};
  std::atomic<bool> has_mail_{false};
  std::atomic<bool> sleeps_{false};

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<Request> requests_;
  bool is_shut_ = false;
};

}  // namespace nixl_connect::runtime
