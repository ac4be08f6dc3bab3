// SPDX-License-Identifier: Apache-2.0
//
// When exposed memory is ready, if it is not at once: a stream of its user has come by
// a point then. Thread-safe.
#pragma once

#include <memory>

#include "wire/gpu_exports.h"

namespace nixl_connect::paths::cuda {
class StreamPoint;
}
namespace nixl_connect::wire {
struct AgentMetadata;
}

namespace nixl_connect::runtime {

struct Readiness {
  std::shared_ptr<const paths::cuda::StreamPoint> point;  // null: at once
  wire::GpuUuid gpu{};                                    // of the stream
  bool waits_for_agents = false;  // ConnectorOptions::wait_for_streams

  // Puts into the metadata what peers wait for, unless that has come by now. Waits
  // itself if they could not, as the GPU's events have no handles, and for NIXL agents
  // if it is to. Otherwise these lose the keys that lead to the memory. Throws as
  // StreamPoint::has_come().
  void tell(wire::AgentMetadata& agent) const;
};

}  // namespace nixl_connect::runtime
