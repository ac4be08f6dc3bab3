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

  // Puts into the metadata what peers wait for, unless that has come by now. If some of
  // them could not, because the GPU's events have no handles or UCX leads to the memory
  // as well, this waits itself. Throws as StreamPoint::has_come().
  void tell(wire::AgentMetadata& agent) const;
};

}  // namespace nixl_connect::runtime
