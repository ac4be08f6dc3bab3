// SPDX-License-Identifier: Apache-2.0
#include "paths/host/cma_copy.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <thread>
#include <vector>

#include "paths/host/exposing_process.h"

namespace nixl_connect::paths::host {
namespace {

using testing::ExposingProcess;
using testing::fill;
using testing::Pages;

constexpr std::size_t kSize = 10 * CmaCopy::kPieceBytes + 4096;

TEST(CmaCopy, SeveralThreadsMoveEverythingAndOneSeesTheEnd) {
  const ExposingProcess peer(kSize, fill);
  const Pages target(kSize);
  std::atomic<std::uint64_t> progress{0};
  CmaCopy copy(OperationKind::kRead, peer.lease(),
               {{target.address(), peer.address(), kSize}}, progress);
  EXPECT_EQ(copy.pieces(), 11U);
  std::atomic<int> ends{0};
  constexpr std::size_t kThreads = 4;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (std::size_t i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      CmaCopy::Step step;
      while ((step = copy.move_piece()) != CmaCopy::Step::kNothingLeft)
        ends += step == CmaCopy::Step::kEnded ? 1 : 0;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(copy.fault(), Fault::kNone);
  EXPECT_TRUE(copy.is_complete());
  EXPECT_EQ(copy.bytes_moved(), kSize);
  EXPECT_EQ(progress, kSize);
  EXPECT_EQ(target.wrong_bytes(), 0U);
}

TEST(CmaCopy, ManyRangesOfAllSizesArriveInTheirPlaces) {
  constexpr std::size_t kMemory = 4 << 20;
  const ExposingProcess peer(kMemory, fill);
  const Pages target(kMemory);
  Ranges ranges;
  std::size_t at = 0;
  for (std::size_t size = 1; at + size <= kMemory; size = (size * 3 + 1) % 70'001 + 1) {
    ranges.push_back({target.address() + at, peer.address() + at, size});
    at += size;
  }
  // Neighbours are not next to each other in the list.
  for (std::size_t i = 0; i + 7 < ranges.size(); i += 2)
    std::swap(ranges[i], ranges[i + 7]);
  std::atomic<std::uint64_t> progress{0};
  CmaCopy copy(OperationKind::kRead, peer.lease(), ranges, progress);
  while (copy.move_piece() != CmaCopy::Step::kEnded) {
  }
  EXPECT_TRUE(copy.is_complete());
  EXPECT_EQ(copy.bytes_moved(), at);
  for (std::size_t i = 0; i < at; ++i)
    ASSERT_EQ(target.data()[i], testing::pattern(i)) << i;
}

TEST(CmaCopy, ManySmallRangesAreManyPieces) {
  const ExposingProcess peer(64 << 10, fill);
  const Pages target(64 << 10);
  Ranges ranges;
  for (std::size_t i = 0; i < 1000; ++i)
    ranges.push_back({target.address() + 16 * i, peer.address() + 16 * i, 8});
  std::atomic<std::uint64_t> progress{0};
  CmaCopy copy(OperationKind::kRead, peer.lease(), ranges, progress);
  std::size_t moved = 1;
  while (copy.move_piece() != CmaCopy::Step::kEnded) ++moved;
  EXPECT_EQ(copy.pieces(), moved);
  EXPECT_EQ(moved, 1000 / Batch::kMaxRanges + 1);
  EXPECT_TRUE(copy.is_complete());
}

TEST(CmaCopy, StopBetweenPiecesIsTheEnd) {
  const ExposingProcess peer(kSize, fill);
  const Pages target(kSize);
  std::atomic<std::uint64_t> progress{0};
  CmaCopy copy(OperationKind::kRead, peer.lease(),
               {{target.address(), peer.address(), kSize}}, progress);
  EXPECT_EQ(copy.move_piece(), CmaCopy::Step::kGoesOn);
  EXPECT_EQ(copy.stop(), CmaCopy::Step::kEnded);
  EXPECT_EQ(copy.move_piece(), CmaCopy::Step::kNothingLeft);
  EXPECT_NE(copy.stop(), CmaCopy::Step::kEnded) << "the end was told before";
  EXPECT_FALSE(copy.is_complete());
  EXPECT_EQ(copy.bytes_moved(), CmaCopy::kPieceBytes);
}

TEST(CmaCopy, StopAfterAllPiecesIsNotASecondEnd) {
  const ExposingProcess peer(4096, fill);
  const Pages target(4096);
  std::atomic<std::uint64_t> progress{0};
  CmaCopy copy(OperationKind::kRead, peer.lease(),
               {{target.address(), peer.address(), 4096}}, progress);
  EXPECT_EQ(copy.move_piece(), CmaCopy::Step::kEnded);
  EXPECT_NE(copy.stop(), CmaCopy::Step::kEnded);
  EXPECT_TRUE(copy.is_complete());
}

TEST(CmaCopy, FaultEndsItWithoutTheRest) {
  const ExposingProcess peer(kSize, [](const Pages& memory) {
    memory.fill();
    ::munmap(memory.data() + CmaCopy::kPieceBytes, CmaCopy::kPieceBytes);
  });
  const Pages target(kSize);
  std::atomic<std::uint64_t> progress{0};
  CmaCopy copy(OperationKind::kRead, peer.lease(),
               {{target.address(), peer.address(), kSize}}, progress);
  EXPECT_EQ(copy.move_piece(), CmaCopy::Step::kGoesOn);
  EXPECT_EQ(copy.move_piece(), CmaCopy::Step::kEnded);
  EXPECT_EQ(copy.fault(), Fault::kRemoteMemory);
  EXPECT_FALSE(copy.is_complete());
  EXPECT_EQ(copy.move_piece(), CmaCopy::Step::kNothingLeft);
}

}  // namespace
}  // namespace nixl_connect::paths::host
