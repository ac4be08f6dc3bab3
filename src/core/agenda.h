// SPDX-License-Identifier: Apache-2.0
//
// What the two sides of the engine have in common: what is to be done now, what is to
// be looked at later, and how long a drain may last.
#pragma once

#include <utility>
#include <vector>

#include "core/commands.h"
#include "core/deadlines.h"

namespace nixl_connect::core {

struct Agenda {
  Time drain_timeout;
  std::vector<Command> commands;
  Deadlines deadlines;

  template <typename Kind>
  void add(Kind command) {
    commands.emplace_back(std::in_place_type<Kind>, std::move(command));
  }
};

}  // namespace nixl_connect::core
