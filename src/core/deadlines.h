// SPDX-License-Identifier: Apache-2.0
//
// Which operation waits for which moment: at most one moment an operation. A value of
// the engine's; not thread-safe.
#pragma once

#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/terms.h"

namespace nixl_connect::core {

class Deadlines {
 public:
  // Replaces the operation's moment; kNever takes it away.
  void set(OperationId operation, Time when);
  void clear(OperationId operation);

  // The earliest moment, or kNever.
  Time next() const noexcept;

  // Removes and returns the operation with the earliest moment, if that is not after
  // `now`.
  std::optional<OperationId> pop_due(Time now);

 private:
  std::set<std::pair<Time, OperationId>> ordered_;
  std::unordered_map<OperationId, Time> moments_;
};

}  // namespace nixl_connect::core
