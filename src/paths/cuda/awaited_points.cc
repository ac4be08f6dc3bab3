// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/awaited_points.h"

namespace nixl_connect::paths::cuda {

bool AwaitedPoints::have_come() {
  while (!points_.empty() && points_.back()->has_come()) points_.pop_back();
  if (!points_.empty()) return false;
  if (foreign_ == nullptr) return true;
  const CuResult result = driver_->functions.event_query(foreign_->get());
  if (result == kCuNotReady) return false;
  driver_->check(result, "waiting for a CUDA event of another process");
  foreign_ = nullptr;
  return true;
}

}  // namespace nixl_connect::paths::cuda
