// SPDX-License-Identifier: Apache-2.0
//
// Endpoints for memory of GPUs that are to be closed. UCX 1.22 closes with one of them
// all memory of the peer's process that it has opened, also what another endpoint, to
// another agent of that process, copies from or to at the moment. So they wait until
// nothing is copied by others, and what is to be copied next waits for them. Used by
// whoever has the turn.
#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include "core/terms.h"
#include "paths/ucx/endpoint.h"
#include "paths/ucx/worker.h"

namespace nixl_connect::runtime {

class GpuClosing {
 public:
  void add(paths::ucx::Endpoint& endpoint, core::Time now) {
    if (endpoints_.empty()) deadline_ = now + kLongest;
    endpoints_.push_back(&endpoint);
  }
  bool is_empty() const noexcept { return endpoints_.empty(); }

  // Has to wait until they are closed.
  void hold(core::OperationId operation) { held_.push_back(operation); }
  // False if it does not wait.
  bool drop(core::OperationId operation) { return std::erase(held_, operation) != 0; }

  // What is not over by then is no copy of a GPU's, but stuck in a message.
  core::Time deadline() const noexcept { return is_empty() ? core::kNever : deadline_; }

  // Closes all, and gives those that have waited.
  std::vector<core::OperationId> close_all() {
    for (paths::ucx::Endpoint* const each : std::exchange(endpoints_, {}))
      each->worker().close(*each);
    return std::exchange(held_, {});
  }

 private:
  static constexpr core::Time kLongest = std::chrono::seconds(2);

  std::vector<paths::ucx::Endpoint*> endpoints_;
  std::vector<core::OperationId> held_;
  core::Time deadline_{};
};

}  // namespace nixl_connect::runtime
