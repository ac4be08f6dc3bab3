// SPDX-License-Identifier: Apache-2.0
//
// The simulation's only source of chance: SplitMix64, the same on every platform. A
// value.
#pragma once

#include <cstdint>

#include "core/commands.h"

namespace nixl_connect::core::simulation {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

  // Less than `bound`, which is not 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  bool chance(unsigned percent) { return below(100) < percent; }
  Time up_to(Time longest) {
    return Time(below(static_cast<std::uint64_t>(longest.count()) + 1));
  }

 private:
  std::uint64_t state_;
};

}  // namespace nixl_connect::core::simulation
