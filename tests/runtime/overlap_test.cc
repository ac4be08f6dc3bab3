// SPDX-License-Identifier: Apache-2.0
#include "runtime/overlap.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "wire/nixl_blob.h"

namespace nixl_connect::runtime {
namespace {

struct Span {
  std::uint64_t begin;
  std::uint64_t size;
};

std::optional<Overlap> find(const std::vector<Span>& ours,
                            const std::vector<Span>& theirs) {
  std::vector<Descriptor> local;
  local.reserve(ours.size());
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  for (const Span& each : ours) local.emplace_back((void*)each.begin, each.size);
  RemoteRanges remote;
  for (const Span& each : theirs) remote.push_back({each.begin, each.size});
  return find_overlap(local, remote);
}

bool do_overlap(const std::vector<Span>& ours, const std::vector<Span>& theirs) {
  for (const Span& a : ours)
    for (const Span& b : theirs)
      if (a.begin < b.begin + b.size && b.begin < a.begin + a.size && a.size > 0 &&
          b.size > 0)
        return true;
  return false;
}

TEST(Overlap, IsFoundWithItsBytes) {
  const auto found = find({{100, 50}, {300, 100}}, {{0, 100}, {350, 100}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->address, 350U);
  EXPECT_EQ(found->size, 50U);
  EXPECT_TRUE(find({{100, 50}}, {{100, 50}})) << "the same range";
  EXPECT_TRUE(find({{100, 50}}, {{110, 10}})) << "within another";
}

TEST(Overlap, IsNoneBetweenNeighboursNorOfEmptyRanges) {
  EXPECT_FALSE(find({{100, 50}}, {{150, 50}}));
  EXPECT_FALSE(find({{100, 50}, {200, 50}}, {{150, 50}, {250, 50}}));
  EXPECT_FALSE(find({{100, 50}, {120, 0}}, {{150, 50}, {120, 0}}));
  EXPECT_FALSE(find({}, {}));
}

// Pages of one size, ranges of any, and some of both.
TEST(Overlap, IsFoundExactlyWhereThereIsOne) {
  std::mt19937 random(7);
  const auto below = [&](std::uint64_t limit) { return random() % limit; };
  int overlapping = 0;
  constexpr int kRounds = 2000;
  for (int round = 0; round < kRounds; ++round) {
    const bool are_pages = round % 2 == 0;
    const auto spans = [&] {
      std::vector<Span> all(below(9));
      for (Span& each : all)
        each = are_pages ? Span{64 + 64 * below(60), 64 - below(round % 8 == 0 ? 2 : 1)}
                         : Span{1 + below(2000), below(120)};
      return all;
    };
    const auto ours = spans();
    const auto theirs = spans();
    const bool expected = do_overlap(ours, theirs);
    overlapping += expected ? 1 : 0;
    ASSERT_EQ(find(ours, theirs).has_value(), expected) << "in round " << round;
  }
  EXPECT_GT(overlapping, kRounds / 10);
  EXPECT_LT(overlapping, kRounds * 9 / 10);
}

}  // namespace
}  // namespace nixl_connect::runtime
