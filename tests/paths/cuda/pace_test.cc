// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/pace.h"

#include <gtest/gtest.h>

namespace nixl_connect::paths::cuda {
namespace {

using std::chrono::microseconds;

constexpr std::uint64_t kWeight = 64 << 20;

TEST(Pace, IsThatOfNvlinkAtFirst) {
  const Pace pace;
  EXPECT_GT(pace.time_for(kWeight), microseconds(150));
  EXPECT_LT(pace.time_for(kWeight), microseconds(200));
}

TEST(Pace, BecomesThatOfWhatWasSeen) {
  Pace pace;
  for (int i = 0; i < 20; ++i) pace.learn(kWeight, microseconds(2000));
  EXPECT_NEAR(static_cast<double>(pace.time_for(kWeight / 2).count()), 1e6, 1e4);
  pace.learn(kWeight, microseconds(200));
  EXPECT_GT(pace.time_for(kWeight), microseconds(1500)) << "one alone does not count";
}

TEST(Pace, LearnsNothingOfWhatIsMostlyStart) {
  Pace pace;
  const auto before = pace.time_for(kWeight);
  pace.learn(1 << 20, microseconds(10'000));
  EXPECT_EQ(pace.time_for(kWeight), before);
}

}  // namespace
}  // namespace nixl_connect::paths::cuda
