// SPDX-License-Identifier: Apache-2.0
//
// The way to the dispatcher: what users ask for, in order. Thread-safe; taken empty by
// whoever has the turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "core/path_rules.h"
#include "core/requests.h"
#include "nixl_connect/plan.h"
#include "runtime/registrations.h"
#include "runtime/remote_agent.h"
#include "runtime/remote_ranges.h"

namespace nixl_connect::paths::cuda {
class StreamPoint;
}

namespace nixl_connect::runtime {

class OperationMemory;
class OperationState;

struct ExposeRequest {
  std::shared_ptr<OperationState> state;
  RegistrationHold registrations;
  core::Exposure exposure;
  // Null: the memory is ready.
  std::shared_ptr<const paths::cuda::StreamPoint> after{};
};

struct BeginRequest {
  std::shared_ptr<OperationState> state;
  RegistrationHold registrations;
  std::shared_ptr<const RemoteAgent> agent;
  RemoteRanges remote;  // one for each descriptor
  core::PathRules rules;
  core::Time deadline = core::kNever;
  core::Path path = core::Path::kUcx;  // once it is planned
  std::shared_ptr<const paths::cuda::StreamPoint>
      after{};                         // null: it may begin at once
  std::vector<std::uint64_t> walls{};  // as Movement has them
  bool is_served = false;              // once it is planned, as Running has it
};

// Answered in any case; who asks waits, and keeps `memory`.
struct ExplainRequest {
  OperationKind kind;
  const OperationMemory* memory;
  std::shared_ptr<const RemoteAgent> agent;
  RemoteRanges remote;
  core::PathRules rules;
  std::promise<Plan> plan;
};

struct CancelRequest {
  core::OperationId operation = 0;
};

struct CloseRequest {};

using Request = std::variant<ExposeRequest, BeginRequest, ExplainRequest, CancelRequest,
                             CloseRequest>;

class Mailbox {
 public:
  Mailbox();

  // The dispatcher finds it at its next turn; to have that soon is the caller's part.
  // Both throw Error(kInvalidArgument) once the Connector is closed, and what
  // check_process() throws.
  void post(Request request);
  void check_usable() const;

  // Throws Error(kUnsupported) in a forked child.
  void check_process() const;
  bool is_forked_child() const noexcept;

  // Posts a CloseRequest as the last request ever. False if that was done before.
  bool post_close();

  bool has_mail() const noexcept { return has_mail_.load(); }

  // Fills `requests`, which is empty, with what was posted. False if there was nothing.
  bool take(std::vector<Request>& requests);

 private:
  const std::uint64_t fork_generation_;
  std::atomic<bool> has_mail_{false};

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<Request> requests_;
  bool is_shut_ = false;
};

}  // namespace nixl_connect::runtime
