// SPDX-License-Identifier: Apache-2.0
//
// Bodies of Deadlines.
#include "core/deadlines.h"

namespace nixl_connect::core {

void Deadlines::set(OperationId operation, Time when) {
  clear(operation);
  if (when == kNever) return;
  moments_.emplace(operation, when);
  ordered_.emplace(when, operation);
}

void Deadlines::clear(OperationId operation) {
  const auto found = moments_.find(operation);
  if (found == moments_.end()) return;
  ordered_.erase({found->second, operation});
  moments_.erase(found);
}

Time Deadlines::next() const noexcept {
  return ordered_.empty() ? kNever : ordered_.begin()->first;
}

std::optional<OperationId> Deadlines::pop_due(Time now) {
  if (ordered_.empty() || ordered_.begin()->first > now) return std::nullopt;
  const OperationId operation = ordered_.begin()->second;
  clear(operation);
  return operation;
}

}  // namespace nixl_connect::core
