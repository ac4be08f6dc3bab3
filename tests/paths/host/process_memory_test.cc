// SPDX-License-Identifier: Apache-2.0
#include "paths/host/process_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "paths/host/exposing_process.h"

namespace nixl_connect::paths::host {
namespace {

using testing::ExposingProcess;
using testing::fill;
using testing::leave;
using testing::Pages;

constexpr std::size_t kPage = 4096;

Moved move(OperationKind kind, const LeaseWord& lease, const Range& range) {
  Batch batch;
  batch.add(range);
  return batch.move(kind, lease);
}

TEST(ProcessMemory, ReadTakesTheBytesAndNothingBesides) {
  const ExposingProcess peer(2 * kPage, fill);
  const Pages target(2 * kPage);
  const auto moved = move(OperationKind::kRead, peer.lease(),
                          {target.address() + 1, peer.address() + 1, kPage});
  EXPECT_EQ(moved.fault, Fault::kNone);
  EXPECT_EQ(moved.bytes, kPage);
  EXPECT_EQ(target.data()[0], std::byte{0});
  for (std::size_t i = 1; i <= kPage; ++i)
    ASSERT_EQ(target.data()[i], testing::pattern(i)) << i;
  EXPECT_EQ(target.data()[kPage + 1], std::byte{0});
}

TEST(ProcessMemory, WriteBringsTheBytes) {
  const ExposingProcess peer(kPage, leave);
  const Pages source(kPage);
  source.fill();
  EXPECT_EQ(move(OperationKind::kWrite, peer.lease(),
                 {source.address(), peer.address(), kPage})
                .fault,
            Fault::kNone);
  const Pages back(kPage);
  EXPECT_EQ(
      move(OperationKind::kRead, peer.lease(), {back.address(), peer.address(), kPage})
          .fault,
      Fault::kNone);
  EXPECT_EQ(back.wrong_bytes(), 0U);
}

// Apart on one side and neighbours on the other, and the other way round.
TEST(ProcessMemory, ScatteredRangesKeepTheirOrder) {
  constexpr std::size_t kPieces = Batch::kMaxRanges;
  constexpr std::size_t kPiece = 24;
  const ExposingProcess peer(kPieces * kPiece, fill);
  const Pages target(2 * kPieces * kPiece);
  Batch batch;
  for (std::size_t i = 0; i < kPieces; ++i) {
    batch.add({target.address() + 2 * i * kPiece, peer.address() + i * kPiece, kPiece});
  }
  const auto moved = batch.move(OperationKind::kRead, peer.lease());
  EXPECT_EQ(moved.fault, Fault::kNone);
  EXPECT_EQ(moved.bytes, kPieces * kPiece);
  for (std::size_t i = 0; i < kPieces * kPiece; ++i)
    ASSERT_EQ(target.data()[i / kPiece * 2 * kPiece + i % kPiece], testing::pattern(i));

  const Pages together(kPieces * kPiece);
  const ExposingProcess wide(2 * kPieces * kPiece, fill);
  Batch gather;
  for (std::size_t i = 0; i < kPieces; ++i)
    gather.add(
        {together.address() + i * kPiece, wide.address() + 2 * i * kPiece, kPiece});
  EXPECT_EQ(gather.move(OperationKind::kRead, wide.lease()).fault, Fault::kNone);
  for (std::size_t i = 0; i < kPieces * kPiece; ++i)
    ASSERT_EQ(together.data()[i],
              testing::pattern(i / kPiece * 2 * kPiece + i % kPiece));
}

TEST(ProcessMemory, AnotherTokenIsALeaseThatIsOver) {
  const ExposingProcess peer(kPage, fill);
  const Pages memory(kPage);
  LeaseWord lease = peer.lease();
  lease.token += 1;
  EXPECT_EQ(look(lease), Fault::kLeaseOver);
  const Range range{memory.address(), peer.address(), kPage};
  EXPECT_EQ(move(OperationKind::kRead, lease, range).fault, Fault::kLeaseOver);
  const auto written = move(OperationKind::kWrite, lease, range);
  EXPECT_EQ(written.fault, Fault::kLeaseOver);
  EXPECT_EQ(written.bytes, 0U);
  const Pages unchanged(kPage);
  EXPECT_EQ(move(OperationKind::kRead, peer.lease(),
                 {unchanged.address(), peer.address(), kPage})
                .fault,
            Fault::kNone);
  EXPECT_EQ(unchanged.wrong_bytes(), 0U) << "the write touched the peer's memory";
}

TEST(ProcessMemory, DeadProcessIsGone) {
  ExposingProcess peer(kPage, fill);
  const LeaseWord lease = peer.lease();
  const Pages memory(kPage);
  peer.kill_and_reap();
  EXPECT_EQ(look(lease), Fault::kPeerGone);
  const Range range{memory.address(), peer.address(), kPage};
  EXPECT_EQ(move(OperationKind::kRead, lease, range).fault, Fault::kPeerGone);
  EXPECT_EQ(move(OperationKind::kWrite, lease, range).fault, Fault::kPeerGone);
}

TEST(ProcessMemory, FaultsTellWhichSideIsNotMapped) {
  const ExposingProcess peer(3 * kPage, [](const Pages& memory) {
    memory.fill();
    ::munmap(memory.data() + kPage, kPage);
    ::mprotect(memory.data() + 2 * kPage, kPage, PROT_READ);
  });
  const Pages memory(2 * kPage);
  for (const auto kind : {OperationKind::kRead, OperationKind::kWrite}) {
    const auto moved =
        move(kind, peer.lease(), {memory.address(), peer.address(), 2 * kPage});
    EXPECT_EQ(moved.fault, Fault::kRemoteMemory);
    EXPECT_LE(moved.bytes, kPage);
  }
  ::mprotect(memory.data() + kPage, kPage, PROT_NONE);
  for (const auto kind : {OperationKind::kRead, OperationKind::kWrite})
    EXPECT_EQ(
        move(kind, peer.lease(), {memory.address() + kPage, peer.address(), kPage})
            .fault,
        Fault::kLocalMemory);
}

TEST(ProcessMemory, ReadOnlyTargetOfAWriteIsRemoteMemorysFault) {
  const ExposingProcess peer(
      kPage, [](const Pages& memory) { ::mprotect(memory.data(), kPage, PROT_READ); });
  const Pages source(kPage);
  EXPECT_EQ(move(OperationKind::kWrite, peer.lease(),
                 {source.address(), peer.address(), kPage})
                .fault,
            Fault::kRemoteMemory);
}

TEST(ProcessMemory, ReadOnlyTargetIsLocalMemorysFault) {
  const ExposingProcess peer(kPage, fill);
  const Pages target(kPage);
  ::mprotect(target.data(), kPage, PROT_READ);
  EXPECT_EQ(move(OperationKind::kRead, peer.lease(),
                 {target.address(), peer.address(), kPage})
                .fault,
            Fault::kLocalMemory);
}

}  // namespace
}  // namespace nixl_connect::paths::host
