// SPDX-License-Identifier: Apache-2.0
//
// Copies from and to GPU memory of another process.
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "paths/cuda/copy_owner.h"
#include "paths/cuda/end_flag.h"
#include "paths/cuda/exporter.h"
#include "paths/cuda/segment.h"
#include "paths/cuda/stand_in_fixture.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using Cause = CopyFailure::Cause;
using Foreign = CopyWork::Foreign;

// The exporter has the first GPU, this process uses the second.
class ForeignCopies : public StandInTest {
 protected:
  static constexpr std::size_t kRanges = 40;
  static constexpr std::size_t kRange = 70;
  static constexpr std::size_t kStride = 113;
  static constexpr std::size_t kSize = kRanges * kStride;

  // From the memory, or to it, at `offset`. The files go with it.
  CopyWork work(Exporter::Exported& exported, Foreign side, std::size_t offset = 0) {
    CopyWork work{.device = 1, .foreign_side = side};
    const CuDevicePointer there = exported.memory.chunks[0].start + offset;
    for (std::size_t i = 0; i < kRanges; ++i) {
      const CuDevicePointer remote = there + i * kStride;
      const CuDevicePointer local = local_.get() + (kRanges - 1 - i) * kStride;
      if (side == Foreign::kSources)
        work.ranges.push_back({remote, local, kRange});
      else
        work.ranges.push_back({local, remote, kRange});
    }
    auto& part = work.foreign.emplace_back();
    part.memory = exported.memory;
    part.files = std::move(exported.files);
    exported.files.clear();
    return work;
  }
  std::shared_ptr<DeviceCopy> read(Exporter::Exported& exported,
                                   std::size_t offset = 0) {
    session_.fill(local_.get(), 0, kSize);
    return owner_.copy(work(exported, Foreign::kSources, offset));
  }
  // Each range of ours has that value, and nothing else has.
  void expect_local(unsigned char value) const {
    auto expected = bytes_of(0, kSize);
    for (std::size_t i = 0; i < kRanges; ++i)
      std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(i * kStride), kRange,
                  static_cast<std::byte>(value));
    EXPECT_EQ(session_.read(local_.get(), kSize), expected);
  }

  const Session session_{1};
  const DeviceMemory local_ = allocate(session_.driver, kSize);
  Exporter exporter_;
  Owner owner_;
};

TEST_F(ForeignCopies, ReadMemoryThatComesByHandle) {
  auto exported = exporter_.allocate(kSize + 50, 7);
  EXPECT_TRUE(read(exported, 50)->is_complete());
  expect_local(7);
  EXPECT_TRUE(read(exported)->is_complete());
  EXPECT_EQ(stand_in::calls("cuIpcOpenMemHandle"), 1U) << "kept open";
}

TEST_F(ForeignCopies, ReadMemoryThatComesByFiles) {
  auto exported = exporter_.map(3, 20);
  EXPECT_TRUE(read(exported, Segment::kChunk)->is_complete());
  expect_local(21);
  ASSERT_TRUE(exported.files.empty());
  EXPECT_TRUE(read(exported, 2 * Segment::kChunk)->is_complete()) << "it is open";
  expect_local(22);
}

TEST_F(ForeignCopies, WriteMemory) {
  auto exported = exporter_.allocate(kSize, 1);
  session_.fill(local_.get(), 9, kSize);
  EXPECT_TRUE(owner_.copy(work(exported, Foreign::kTargets))->is_complete());
  EXPECT_TRUE(read(exported)->is_complete());
  expect_local(9);
}

TEST_F(ForeignCopies, FindTheMemoryOfEachRange) {
  auto first = exporter_.allocate(kSize, 1);
  auto second = exporter_.map(1, 2);
  CopyWork both = work(first, Foreign::kSources);
  CopyWork other = work(second, Foreign::kSources);
  for (std::size_t i = 0; i < kRanges; i += 2) both.ranges[i] = other.ranges[i];
  both.foreign.push_back(std::move(other.foreign[0]));
  session_.fill(local_.get(), 0, kSize);
  EXPECT_TRUE(owner_.copy(std::move(both))->is_complete());
  EXPECT_EQ(session_.read(local_.get(), kRange), bytes_of(1, kRange));
  EXPECT_EQ(session_.read(local_.get() + kStride, kRange), bytes_of(2, kRange));
}

// Each is a mapping of its own, somewhere else.
TEST_F(ForeignCopies, CutRangesAtTheBordersOfTheirChunks) {
  auto exported = exporter_.map(3, 30);
  CopyWork opening{.device = 1};
  for (std::size_t i = 0; i < 3; ++i) {
    auto& part = opening.foreign.emplace_back();
    part.memory.owner = exported.memory.owner;
    part.memory.chunks = {exported.memory.chunks[2 - i]};
    part.files.push_back(std::move(exported.files[2 - i]));
  }
  const auto opened = owner_.copy(std::move(opening));
  EXPECT_TRUE(opened->is_complete());
  ASSERT_EQ(opened->opened().size(), 3U);

  constexpr std::size_t kReach = Segment::kChunk + 20;
  const DeviceMemory target = allocate(session_.driver, kReach);
  session_.fill(target.get(), 0, kReach);
  CopyWork copy{.device = 1, .foreign_side = Foreign::kSources};
  copy.ranges = {{exported.memory.chunks[1].start - 10, target.get(), kReach}};
  for (const auto& mapping : opened->opened()) {
    auto& part = copy.foreign.emplace_back();
    part.memory.owner = exported.memory.owner;
    part.memory.chunks = {{mapping->foreign_start(), mapping->size(), 0}};
    part.opened = mapping;
  }
  EXPECT_TRUE(owner_.copy(std::move(copy))->is_complete());
  auto expected = bytes_of(31, kReach);
  std::fill_n(expected.begin(), 10, std::byte{30});
  std::fill_n(expected.end() - 10, 10, std::byte{32});
  EXPECT_EQ(session_.read(target.get(), kReach), expected);
  EXPECT_EQ(stand_in::calls("cuMemMap"), 3U);
}

TEST_F(ForeignCopies, AskForFilesThatAreNeeded) {
  auto exported = exporter_.map(1, 3);
  auto files = std::move(exported.files);
  exported.files.clear();
  const auto copy = read(exported);
  ASSERT_TRUE(copy->failure());
  EXPECT_EQ(copy->failure()->cause, Cause::kFilesMissing);
  exported.files = std::move(files);
  EXPECT_TRUE(read(exported)->is_complete());
}

TEST_F(ForeignCopies, SayThatMemoryCannotBeOpened) {
  auto exported = exporter_.allocate(kSize, 1);
  exporter_.kill();
  const auto copy = read(exported);
  ASSERT_TRUE(copy->failure());
  EXPECT_EQ(copy->failure()->cause, Cause::kNotOpened);
  EXPECT_TRUE(copy->failure()->message.starts_with("opening GPU memory of another"))
      << copy->failure()->message;
  expect_local(0);
}

TEST_F(ForeignCopies, SayThatMemoryIsOutOfReach) {
  auto exported = exporter_.allocate(kSize, 1);
  stand_in::set_peers(false);
  const auto copy = read(exported);
  ASSERT_TRUE(copy->failure());
  EXPECT_EQ(copy->failure()->cause, Cause::kUnreachable);
}

TEST_F(ForeignCopies, SayThatMemoryIsNotAsItsOwnerSays) {
  auto exported = exporter_.allocate(kSize, 1);
  const auto outside = read(exported, 50);
  ASSERT_TRUE(outside->failure());
  EXPECT_EQ(outside->failure()->cause, Cause::kNotAsSaid);
  EXPECT_EQ(outside->failure()->kind, ErrorKind::kInvalidArgument);
  auto smaller = exporter_.allocate(2 * kSize, 1);
  smaller.memory.chunks[0].size += 1;
  const auto copy = read(smaller);
  ASSERT_TRUE(copy->failure());
  EXPECT_EQ(copy->failure()->cause, Cause::kNotAsSaid);
  EXPECT_EQ(copy->failure()->kind, ErrorKind::kUnsupported);
  expect_local(0);
}

TEST_F(ForeignCopies, HoldMemoryUntilTheGpuIsDone) {
  auto exported = exporter_.allocate(kSize, 4);
  session_.fill(local_.get(), 0, kSize);
  stand_in::hold_streams();
  const auto copy = owner_.add(1, work(exported, Foreign::kSources));
  stand_in::wait_for_calls("cuStreamWriteValue32", 1);
  owner_.thread().drop(exporter_.instance());
  owner_.copy({.device = 1});
  EXPECT_EQ(stand_in::calls("cuIpcCloseMemHandle"), 0U);
  stand_in::release_streams();
  EXPECT_EQ(owner_.wait(), 1U);
  EXPECT_EQ(stand_in::calls("cuIpcCloseMemHandle"), 1U);
  EXPECT_TRUE(copy->is_complete());
  expect_local(4);
}

TEST_F(ForeignCopies, CloseMemoryWhoseOwnerHasGone) {
  auto exported = exporter_.allocate(kSize, 4);
  EXPECT_TRUE(read(exported)->is_complete());
  exporter_.kill();
  owner_.thread().drop(exported.memory.owner);
  owner_.copy({.device = 1});
  EXPECT_EQ(stand_in::calls("cuIpcCloseMemHandle"), 1U);
}

// The driver may make the call wait for such streams.
TEST_F(ForeignCopies, CloseNothingWhileStreamsMayWaitForCopies) {
  constexpr std::chrono::seconds kHeld{1};
  const Exporter other;
  auto gone = exporter_.allocate(kSize, 4);
  auto others = other.allocate(kSize, 5);
  EXPECT_TRUE(read(gone)->is_complete());
  EXPECT_TRUE(read(others)->is_complete());
  const EndFlag end(session_.driver, 1);
  stand_in::hold_streams();
  const unsigned batches = stand_in::calls("cuStreamWriteValue32");
  const auto copy = owner_.add(1, work(others, Foreign::kSources));
  stand_in::wait_for_calls("cuStreamWriteValue32", batches + 1);
  const auto start = std::chrono::steady_clock::now();
  owner_.thread().drop(gone.memory.owner);
  owner_.copy({.device = 1});
  const unsigned closed = stand_in::calls("cuIpcCloseMemHandle");
  const bool is_held = std::chrono::steady_clock::now() - start < kHeld;
  EXPECT_EQ(is_held ? closed : 0U, 0U);
  stand_in::release_streams();
  EXPECT_EQ(owner_.wait(), 1U);
  EXPECT_TRUE(copy->is_complete());
  stand_in::wait_for_calls("cuIpcCloseMemHandle", 1);
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
