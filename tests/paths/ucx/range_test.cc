// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/range.h"

#include <gtest/gtest.h>

namespace nixl_connect::paths::ucx {
namespace {

constexpr std::uint64_t kLargest = Pieces::kLargest;

Range range(std::uintptr_t local, std::uint64_t remote, std::uint64_t size) {
  Range made;
  made.local = local;
  made.remote = remote;
  made.size = size;
  return made;
}

TEST(Pieces, AreNoneForEmptyRanges) {
  const Pieces pieces({range(10, 20, 0), range(30, 40, 0)});
  EXPECT_TRUE(pieces.is_empty());
  EXPECT_EQ(pieces.count(), 0U);
}

TEST(Pieces, JoinNeighboursAcrossEmptyRanges) {
  Pieces pieces({range(100, 900, 50), range(7, 7, 0), range(150, 950, 10)});
  ASSERT_EQ(pieces.count(), 1U);
  const Range piece = pieces.take();
  EXPECT_EQ(piece.local, 100U);
  EXPECT_EQ(piece.remote, 900U);
  EXPECT_EQ(piece.size, 60U);
  EXPECT_TRUE(pieces.is_empty());
}

TEST(Pieces, StayApartIfNeighboursOnOneSideOnly) {
  EXPECT_EQ(Pieces({range(100, 900, 50), range(150, 951, 10)}).count(), 2U);
  EXPECT_EQ(Pieces({range(100, 900, 50), range(151, 950, 10)}).count(), 2U);
}

TEST(Pieces, StayApartIfNeighboursUnderDifferentRegistrationsOrKeys) {
  const Range first = range(100, 900, 50);
  Range second = range(150, 950, 10);
  second.registration = reinterpret_cast<const Registration*>(0x1000);
  EXPECT_EQ(Pieces({first, second}).count(), 2U);
  second = range(150, 950, 10);
  second.key = reinterpret_cast<const RemoteKey*>(0x1000);
  EXPECT_EQ(Pieces({first, second}).count(), 2U);
}

TEST(Pieces, HaveTheLimitThatTheyAreGiven) {
  const std::uint64_t size = 3 * Pieces::kLargestOfGpus / 2;
  Pieces pieces({range(100, 900, size)}, Pieces::kLargestOfGpus);
  EXPECT_EQ(pieces.count(), 2U);
  EXPECT_EQ(pieces.limit(), Pieces::kLargestOfGpus);
  EXPECT_EQ(pieces.take().size, Pieces::kLargestOfGpus);
  EXPECT_EQ(pieces.take().size, size - Pieces::kLargestOfGpus);
}

TEST(Pieces, CoverALargeRangeOnceAndInOrder) {
  Pieces pieces({range(1 << 20, 1 << 10, 2 * kLargest + 5)});
  ASSERT_EQ(pieces.count(), 3U);
  EXPECT_EQ(pieces.largest(), kLargest);
  std::uint64_t covered = 0;
  for (const std::uint64_t size : {kLargest, kLargest, std::uint64_t{5}}) {
    const Range piece = pieces.take();
    EXPECT_EQ(piece.size, size);
    EXPECT_EQ(piece.local, (1U << 20) + covered);
    EXPECT_EQ(piece.remote, (1U << 10) + covered);
    covered += piece.size;
  }
  EXPECT_TRUE(pieces.is_empty());
  EXPECT_EQ(covered, pieces.bytes());
}

}  // namespace
}  // namespace nixl_connect::paths::ucx
