// SPDX-License-Identifier: Apache-2.0
//
// How operations end, with short names for it. Plain data and pure functions.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "core/terms.h"
#include "nixl_connect/error.h"
#include "nixl_connect/status.h"

namespace nixl_connect::core {

// `message` tells the cause. The runtime, which knows names and paths, puts in front
// what was attempted, on what and with whom.
struct Failure {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;
  std::optional<PeerId> peer = std::nullopt;  // exposing side: whose doing it was
};

// How an operation ended. `failure` is set exactly when the status is kErrored.
struct Outcome {
  OperationStatus status = OperationStatus::kComplete;
  std::optional<Failure> failure;
};

inline Outcome completed() { return {OperationStatus::kComplete, std::nullopt}; }

inline Outcome cancelled() { return {OperationStatus::kCancelled, std::nullopt}; }

inline Outcome failed(Failure failure) {
  return {OperationStatus::kErrored, std::move(failure)};
}

inline Outcome failed(ErrorKind kind, std::string message) {
  return failed(Failure{kind, std::move(message)});
}

inline Outcome timed_out() {
  return failed(ErrorKind::kTimedOut, "the deadline passed");
}

}  // namespace nixl_connect::core
