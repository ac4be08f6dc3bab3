// SPDX-License-Identifier: Apache-2.0
//
// Time and order statistics. Pure functions and values.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <vector>

namespace nixl_connect::bench {

// Runs from its making on.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }
  double ms() const { return seconds() * 1e3; }
  double us() const { return seconds() * 1e6; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

// Time of the steady clock, CLOCK_MONOTONIC, which all processes of a host share.
inline double now_us() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::micro>(since).count();
}

// The smallest value that is not below `share` of all; `values` is not empty.
inline double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  return values.at(rank < 1 ? 0 : static_cast<std::size_t>(rank) - 1);
}

inline double median(const std::vector<double>& values) {
  return percentile(values, 0.5);
}

}  // namespace nixl_connect::bench
