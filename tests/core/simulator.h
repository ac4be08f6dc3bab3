// SPDX-License-Identifier: Apache-2.0
//
// A seeded simulation of several engines, their network, their memory and their users.
// One seed is one run, the same each time. No threads, no real time; called by the
// tests and by the program `simulate`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulation/journal.h"

namespace nixl_connect::core::simulation {

struct Report {
  std::vector<std::string> violations;  // empty: every rule was kept
  std::vector<std::string> trace;       // empty unless asked for
  Coverage coverage;
};

Report simulate(std::uint64_t seed, bool is_traced = false);

}  // namespace nixl_connect::core::simulation
