// SPDX-License-Identifier: Apache-2.0
//
// The core under random users, networks and faults. A failing seed is replayed with
// `simulate --trace SEED`.
#include "simulator.h"

#include <gtest/gtest.h>

namespace nixl_connect::core::simulation {
namespace {

TEST(Simulation, KeepsEveryRuleOnEverySeed) {
  for (std::uint64_t seed = 1; seed <= 100'000; ++seed) {
    const Report report = simulate(seed);
    if (report.violations.empty()) continue;
    for (const std::string& line : simulate(seed, true).trace) std::puts(line.c_str());
    FAIL() << "seed " << seed << ": " << report.violations.front();
  }
}

TEST(Simulation, ComesToEveryCorner) {
  Coverage coverage;
  for (std::uint64_t seed = 1; seed <= 5'000; ++seed)
    coverage += simulate(seed).coverage;
  EXPECT_GT(coverage.reads_complete, 0U);
  EXPECT_GT(coverage.writes_complete, 0U);
  EXPECT_GT(coverage.readables_complete, 0U);
  EXPECT_GT(coverage.writables_complete, 0U);
  EXPECT_GT(coverage.cancelled, 0U);
  EXPECT_GT(coverage.disconnected, 0U);
  EXPECT_GT(coverage.timed_out, 0U);
  EXPECT_GT(coverage.given_up_by_peer, 0U);
  EXPECT_GT(coverage.stale_reads_refused, 0U);
  EXPECT_GT(coverage.reads_past_finish, 0U);
  EXPECT_GT(coverage.peers_dropped, 0U);
  EXPECT_GT(coverage.lost_before_left, 0U);
  EXPECT_GT(coverage.begun_on_lost_peer, 0U);
  EXPECT_GT(coverage.early_notifications, 0U);
  EXPECT_GT(coverage.peers_killed, 0U);
  EXPECT_GT(coverage.writes_joined, 0U);
  EXPECT_GT(coverage.writes_early, 0U);
  EXPECT_GT(coverage.writes_found, 0U);
  EXPECT_GT(coverage.stayed_open, 0U);
  EXPECT_GT(coverage.views_joined, 0U);
  EXPECT_GT(coverage.views_complete, 0U);
  EXPECT_GT(coverage.views_recalled, 0U);
  EXPECT_GT(coverage.views_waited_for, 0U);
  EXPECT_GT(coverage.views_of_dropped, 0U);
}

TEST(Simulation, RepeatsARunFromItsSeed) {
  const Report once = simulate(42, true);
  EXPECT_FALSE(once.trace.empty());
  EXPECT_EQ(once.trace, simulate(42, true).trace);
  EXPECT_NE(once.trace, simulate(43, true).trace);
}

}  // namespace
}  // namespace nixl_connect::core::simulation
