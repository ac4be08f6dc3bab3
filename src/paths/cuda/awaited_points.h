// SPDX-License-Identifier: Apache-2.0
//
// The points that streams have to come by before a copy begins. They are asked about
// now and then: on a stream of the GPU a copy that waits would hold up others, could
// not be taken back, and would wait for ever for a process that dies or lies. The CUDA
// thread, with the GPU's context current.
#pragma once

#include <vector>

#include "paths/cuda/foreign_points.h"
#include "paths/cuda/stream_points.h"

namespace nixl_connect::paths::cuda {

class AwaitedPoints {
 public:
  AwaitedPoints() = default;  // none
  AwaitedPoints(const Driver& driver, std::vector<StreamPointPtr> points,
                ForeignPoints::Opened foreign)
      : driver_(&driver), points_(std::move(points)), foreign_(std::move(foreign)) {}

  // Forgets those that have. Throws as Driver::check().
  bool have_come();

 private:
  const Driver* driver_ = nullptr;
  std::vector<StreamPointPtr> points_;
  ForeignPoints::Opened foreign_;
};

}  // namespace nixl_connect::paths::cuda
