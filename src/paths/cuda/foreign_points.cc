// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/foreign_points.h"

#include <algorithm>

namespace nixl_connect::paths::cuda {

ForeignPoints::Opened ForeignPoints::open(const ForeignPoint& point) {
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& each) {
    return each.point.owner == point.owner && each.point.handle == point.handle;
  });
  if (found != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, found);
    return found->event;
  }
  auto event = std::make_shared<const Event>(open_event(driver_, point.handle));
  kept_.push_front({point, event});
  if (kept_.size() > most_kept_) kept_.pop_back();
  return event;
}

void ForeignPoints::drop(const Instance& owner) {
  kept_.remove_if([&](const Kept& each) { return each.point.owner == owner; });
}

}  // namespace nixl_connect::paths::cuda
