// SPDX-License-Identifier: Apache-2.0
#include "core/costs.h"

#include <algorithm>
#include <cmath>

namespace nixl_connect::core {
Prediction predict(const Work& work, const PathCosts& costs) {
  const auto bytes = static_cast<double>(work.bytes);
  const auto ranges = static_cast<double>(work.ranges);
  const double pieces =
      std::max(bytes / double(kPieceBytes), ranges / double(kPieceRanges));
  const double threads = std::clamp(std::ceil(pieces), 1.0, double(work.threads));
  const double gbps = std::min(costs.gbps_one_thread * threads, costs.gbps_most);
  // A GB a second is a byte a nanosecond. The first range belongs to the start.
  const double moving =
      bytes / gbps + std::max(ranges - 1, 0.0) * costs.range_ns / threads;
  Prediction result;
  // Far below kNever, however slow a path is said to be.
  constexpr double kLongest = 1e18;
  const double time = costs.start_ns + costs.range_ns + moving;
  result.time = Time(static_cast<Time::rep>(std::min(time, kLongest)));
  if (moving > 0) result.gbps = bytes / moving;
  return result;
}

}  // namespace nixl_connect::core
