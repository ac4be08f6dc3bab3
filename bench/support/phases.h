// SPDX-License-Identifier: Apache-2.0
//
// Named times of repeated work, printed as a table. A value.
#pragma once

#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace nixl_connect::bench {

class Phases {
 public:
  // Adds one round's time; phases are printed in the order of their first mention.
  void add(const std::string& phase, double ms);

  double median_ms(const std::string& phase) const;

  // Median and 99th percentile of each phase in ms.
  void print(std::ostream& out) const;

 private:
  std::vector<std::pair<std::string, std::vector<double>>> phases_;
};

}  // namespace nixl_connect::bench
