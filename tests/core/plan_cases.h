// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the planner share: work, a peer of which everything is known, and
// tables of what stands against each path.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <vector>

#include "core/plan.h"

namespace nixl_connect::core {

constexpr Work kSmall{4096, 1, 8};
constexpr Work kLarge{1 << 30, 1, 8};
constexpr Work kScattered{4096 * 4096, 4096, 8};

// A peer of which everything is known, in another process of this host.
inline Facts neighbour() {
  Facts facts;
  facts.is_ours = true;
  facts.where = Facts::Where::kThisHost;
  facts.is_process_known = true;
  facts.are_leases_seen = true;
  facts.exported = Facts::Exported::kAll;
  return facts;
}

struct Case {
  const char* name;
  std::function<void(Facts&)> change;
  // Of local, host.map, host.cma, cuda.peer, cuda.staged, ucx.
  std::array<Obstacle, kPaths> obstacles;
};

inline void expect_obstacles(const Facts& usual, const std::vector<Case>& cases) {
  for (const Case& each : cases) {
    Facts facts = usual;
    each.change(facts);
    const Choice choice = choose(kLarge, facts, {}, {});
    for (const Path path : kAllPaths)
      EXPECT_EQ(choice.verdicts[index_of(path)].obstacle,
                each.obstacles[index_of(path)])
          << each.name << ": " << name_of(path);
  }
}

}  // namespace nixl_connect::core
