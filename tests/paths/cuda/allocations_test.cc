// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/allocations.h"

#include <array>

#include "nixl_connect/error.h"
#include "paths/cuda/segment.h"
#include "paths/cuda/stand_in_fixture.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using Allocations = StandInTest;
using Export = DeviceAllocation::Export;

void expect_refused(CuDevicePointer address, std::uint64_t size, const char* part) {
  try {
    find_allocation(driver_under_test(), address, size);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST_F(Allocations, AreNoneForMemoryOfTheHost) {
  const Session session;
  alignas(4096) static std::array<std::byte, 4096> memory{};
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  EXPECT_FALSE(find_allocation(session.driver, address, 10));
  const RegisteredMemory pinned = register_memory(session.driver, memory.data(), 4096);
  EXPECT_FALSE(find_allocation(session.driver, address, 10)) << "though pinned";
}

TEST_F(Allocations, OfCudaMallocAreExportedByHandle) {
  const Session session(1);
  const DeviceMemory memory = allocate(session.driver, 5000);
  const auto found = find_allocation(session.driver, memory.get() + 100, 4900);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->device, 1);
  EXPECT_EQ(found->exported_by, Export::kIpcHandle);
  EXPECT_EQ(found->start(), memory.get());
  EXPECT_EQ(found->size(), 5000U);
  EXPECT_TRUE(found->why_not.empty());
  expect_refused(memory.get() + 100, 4901, "only the first 4900 are of one GPU");
}

TEST_F(Allocations, AreFoundWhateverContextIsCurrent) {
  const Session owner(1);
  const DeviceMemory memory = allocate(owner.driver, 5000);
  {
    const Session other(0);
    const auto found = find_allocation(other.driver, memory.get(), 5000);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->device, 1);
  }
  CuContext popped = nullptr;
  ASSERT_EQ(owner.driver.functions.context_pop(&popped), kCuSuccess);
  EXPECT_TRUE(find_allocation(owner.driver, memory.get(), 5000)) << "or none";
  EXPECT_EQ(owner.driver.functions.context_push(popped), kCuSuccess);
}

TEST_F(Allocations, SideBySideAreExportedByAFileEach) {
  const Session session;
  const Segment segment(session.driver, 0, 4, kCuHandlePosixFd);
  const auto found = find_allocation(
      session.driver, segment.start() + Segment::kChunk + 1, 2 * Segment::kChunk - 1);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->exported_by, Export::kFiles);
  ASSERT_EQ(found->chunks.size(), 2U);
  EXPECT_EQ(found->start(), segment.start() + Segment::kChunk);
  EXPECT_EQ(found->size(), 2 * Segment::kChunk);
  EXPECT_NE(found->chunks[0].buffer_id, found->chunks[1].buffer_id);
  for (const MemoryChunk& chunk : found->chunks)
    EXPECT_GE(export_file(session.driver, chunk).get(), 0);
  expect_refused(segment.start(), segment.size() + 1, "no memory of a GPU");
}

TEST_F(Allocations, ThatCannotBeExportedSayWhy) {
  const Session session;
  const Segment segment(session.driver, 0, 1, kCuHandleNone);
  const auto mapped = find_allocation(session.driver, segment.start(), 1);
  ASSERT_TRUE(mapped);
  EXPECT_EQ(mapped->exported_by, Export::kNone);
  EXPECT_TRUE(mapped->why_not.starts_with("mapped memory")) << mapped->why_not;
  const DeviceMemory pooled(session.driver, stand_in::allocate_from_pool(0, 100));
  const auto of_pool = find_allocation(session.driver, pooled.get(), 100);
  ASSERT_TRUE(of_pool);
  EXPECT_EQ(of_pool->exported_by, Export::kNone);
  EXPECT_TRUE(of_pool->why_not.starts_with("memory of a pool")) << of_pool->why_not;
}

TEST_F(Allocations, AreKnownFromOthersUnderTheSameAddress) {
  const Session session;
  DeviceMemory memory = allocate(session.driver, 54321);
  const auto found = find_allocation(session.driver, memory.get(), 54321);
  ASSERT_TRUE(found);
  EXPECT_TRUE(is_unchanged(session.driver, *found));
  memory = {};
  EXPECT_FALSE(is_unchanged(session.driver, *found));
  memory = allocate(session.driver, 54321);
  ASSERT_EQ(memory.get(), found->start());
  EXPECT_FALSE(is_unchanged(session.driver, *found));
}

TEST_F(Allocations, ThatAreOthersNowAreNotExported) {
  const Session session;
  CuDevicePointer start = 0;
  std::vector<MemoryChunk> chunks;
  {
    const Segment segment(session.driver, 0, 1, kCuHandlePosixFd);
    start = segment.start();
    chunks = find_allocation(session.driver, start, 1)->chunks;
  }
  EXPECT_EQ(export_file(session.driver, chunks[0]).get(), -1);
  EXPECT_EQ(stand_in::calls("cuMemExportToShareableHandle"), 0U);
}

TEST_F(Allocations, TellWhatFailedAtTheExport) {
  const Session session;
  const Segment segment(session.driver, 0, 1, kCuHandlePosixFd);
  const auto found = find_allocation(session.driver, segment.start(), 1);
  stand_in::fail("cuMemExportToShareableHandle", kCuNotSupported);
  try {
    export_file(session.driver, found->chunks[0]);
    FAIL() << "exported";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  }
  EXPECT_EQ(stand_in::calls("cuMemRelease"), 2U) << "of the segment, and what was held";
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
