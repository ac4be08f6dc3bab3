// SPDX-License-Identifier: Apache-2.0
//
// Where an operation stands. Plain values.
#pragma once

#include <string_view>

namespace nixl_connect {

// INITIALIZED -> IN_PROGRESS -> COMPLETE | CANCELLED | ERRORED. A terminal status never
// changes, and is seen only once nothing can touch the operation's memory any more.
enum class OperationStatus {
  kUninitialized = 0,
  kInitialized = 1,
  kInProgress = 2,
  kComplete = 3,
  kCancelled = 4,
  kErrored = 5,
};

// As dynamo.nixl_connect prints them: "INIT", "PROC", "DONE" (complete), "STOP"
// (cancelled), "ERR"; "<invalid>" for kUninitialized.
std::string_view to_string(OperationStatus status) noexcept;

constexpr bool is_terminal(OperationStatus status) noexcept {
  return status >= OperationStatus::kComplete;
}

}  // namespace nixl_connect
