// SPDX-License-Identifier: Apache-2.0
//
// The engine's small parts: deadlines, early arrivals, lost peers.
#include <gtest/gtest.h>

#include <string>

#include "core/deadlines.h"
#include "core/early_arrivals.h"
#include "core/lost_peers.h"

namespace nixl_connect::core {
namespace {

TEST(Deadlines, PopsInOrderOfTimeAndOnlyWhatIsDue) {
  Deadlines deadlines;
  deadlines.set(1, Time(30));
  deadlines.set(2, Time(10));
  deadlines.set(3, Time(20));
  EXPECT_EQ(deadlines.next(), Time(10));
  EXPECT_EQ(deadlines.pop_due(Time(9)), std::nullopt);
  EXPECT_EQ(deadlines.pop_due(Time(20)), 2U);
  EXPECT_EQ(deadlines.pop_due(Time(20)), 3U);
  EXPECT_EQ(deadlines.pop_due(Time(20)), std::nullopt);
  EXPECT_EQ(deadlines.next(), Time(30));
}

TEST(Deadlines, KeepsOneMomentAnOperation) {
  Deadlines deadlines;
  deadlines.set(1, Time(10));
  deadlines.set(1, Time(20));
  EXPECT_EQ(deadlines.next(), Time(20));
  deadlines.set(1, kNever);
  EXPECT_EQ(deadlines.next(), kNever);
  deadlines.set(2, Time(5));
  deadlines.clear(2);
  EXPECT_EQ(deadlines.pop_due(Time(100)), std::nullopt);
}

TEST(EarlyArrivals, CountsAKeyUntilItIsTaken) {
  EarlyArrivals arrivals;
  arrivals.add("a");
  arrivals.add("b");
  arrivals.add("a");
  EXPECT_EQ(arrivals.take("a"), 2U);
  EXPECT_EQ(arrivals.take("a"), 0U);
  EXPECT_EQ(arrivals.take("b"), 1U);
  EXPECT_EQ(arrivals.size(), 0U);
}

TEST(EarlyArrivals, ForgetsTheKeyThatCameLeastRecently) {
  EarlyArrivals arrivals;
  for (std::size_t i = 0; i < EarlyArrivals::kMaxKeys; ++i)
    arrivals.add(std::to_string(i));
  arrivals.add("0");
  arrivals.add("new");
  EXPECT_EQ(arrivals.size(), EarlyArrivals::kMaxKeys);
  EXPECT_EQ(arrivals.take("1"), 0U);
  EXPECT_EQ(arrivals.take("0"), 2U);
  EXPECT_EQ(arrivals.take("new"), 1U);
}

TEST(EarlyArrivals, DropsKeysThatAreTooLong) {
  EarlyArrivals arrivals;
  arrivals.add(std::string(EarlyArrivals::kMaxKeyBytes + 1, 'x'));
  EXPECT_EQ(arrivals.size(), 0U);
  arrivals.add(std::string(EarlyArrivals::kMaxKeyBytes, 'x'));
  EXPECT_EQ(arrivals.size(), 1U);
}

TEST(LostPeers, RemembersTheLastOnes) {
  LostPeers lost;
  lost.add(1);
  lost.add(1);
  for (PeerId peer = 2; peer <= LostPeers::kMaxPeers; ++peer) lost.add(peer);
  EXPECT_TRUE(lost.contains(1));
  lost.add(LostPeers::kMaxPeers + 1);
  EXPECT_FALSE(lost.contains(1));
  EXPECT_TRUE(lost.contains(2));
  EXPECT_TRUE(lost.contains(LostPeers::kMaxPeers + 1));
}

}  // namespace
}  // namespace nixl_connect::core
