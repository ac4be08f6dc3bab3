// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "support/phases.h"

#include <algorithm>
#include <iomanip>
#include <stdexcept>

#include "support/measure.h"

namespace nixl_connect::bench {

void Phases::add(const std::string& phase, double ms) {
  auto found = std::find_if(phases_.begin(), phases_.end(),
                            [&](const auto& known) { return known.first == phase; });
  if (found == phases_.end()) {
    found = phases_.insert(found, {phase, {}});
  }
  found->second.push_back(ms);
}

double Phases::median_ms(const std::string& phase) const {
  for (const auto& [name, times] : phases_) {
    if (name == phase) return median(times);
  }
  throw std::out_of_range("there is no phase " + phase);
}

void Phases::print(std::ostream& out) const {
  out << std::left << std::setw(24) << "phase" << std::right << std::setw(12)
      << "median ms" << std::setw(12) << "p99 ms"
      << "\n"
      << std::fixed << std::setprecision(3);
  for (const auto& [name, times] : phases_) {
    out << std::left << std::setw(24) << name << std::right << std::setw(12)
        << median(times) << std::setw(12) << percentile(times, 0.99) << "\n";
  }
}

}  // namespace nixl_connect::bench
