// SPDX-License-Identifier: Apache-2.0
//
// Bytes by wall time and by processor time: what other work of the machine takes from
// a copy shows in the first only. Values.
#pragma once

#include <cstddef>
#include <iomanip>
#include <ostream>
#include <vector>

#include "support/exposing_peer.h"
#include "support/measure.h"

namespace nixl_connect::bench {

// In GB/s.
struct Rate {
  double wall = 0;
  double cpu = 0;
};

// Runs from its making on.
class RateWatch {
 public:
  Rate rate(std::size_t bytes) const {
    const double gb = static_cast<double>(bytes) / 1e9;
    return {gb / watch_.seconds(), gb / (cpu_seconds() - cpu_before_)};
  }

 private:
  const double cpu_before_ = cpu_seconds();
  const Stopwatch watch_{};
};

class Rates {
 public:
  void add(const Rate& rate) {
    wall_.push_back(rate.wall);
    cpu_.push_back(rate.cpu);
  }
  // The medians.
  void print(std::ostream& out) const {
    out << std::fixed << std::setprecision(2) << std::setw(7) << median(wall_) << " ("
        << median(cpu_) << ")";
  }

 private:
  std::vector<double> wall_;
  std::vector<double> cpu_;
};

}  // namespace nixl_connect::bench
