// SPDX-License-Identifier: Apache-2.0
//
// Copies within this process, and how several of them get on with each other.
#include "paths/cuda/copy_thread.h"

#include <algorithm>
#include <set>
#include <thread>

#include "paths/cuda/copy_owner.h"
#include "paths/cuda/stand_in_fixture.h"
#include "support/forked_process.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using CopyThreads = StandInTest;
using Cause = CopyFailure::Cause;

void expect_failure(const DeviceCopy& copy, Cause cause, const char* part) {
  ASSERT_TRUE(copy.failure());
  EXPECT_EQ(copy.failure()->cause, cause) << copy.failure()->message;
  EXPECT_NE(copy.failure()->message.find(part), std::string::npos)
      << copy.failure()->message;
  EXPECT_FALSE(copy.is_complete());
}

TEST_F(CopyThreads, MoveRangesOfAnySizeAndAlignment) {
  const Session session;
  Owner owner;
  for (const std::size_t largest : {1, 31, 500, 20'000}) {
    const Scattered scattered(session, 300, largest);
    const auto copy = owner.copy(scattered.work());
    EXPECT_TRUE(copy->is_complete());
    EXPECT_EQ(copy->bytes_moved(), scattered.bytes());
    EXPECT_EQ(owner.progress(), scattered.bytes());
    EXPECT_TRUE(scattered.has_arrived()) << largest;
  }
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 4U);
  EXPECT_EQ(stand_in::calls("cuModuleLoadData"), 1U);
  EXPECT_EQ(
      stand_in::calls("cuStreamSynchronize") + stand_in::calls("cuMemcpyDtoDAsync"),
      12U)
      << "only the test itself waits in the driver";
}

TEST_F(CopyThreads, UseCopyEnginesAloneWithoutAKernelOrLeaveToUseIt) {
  const Session session;
  const Scattered scattered(session, 300, 2000);
  Owner without(nullptr);
  EXPECT_TRUE(without.copy(scattered.work())->is_complete());
  EXPECT_TRUE(scattered.has_arrived());
  const Scattered others(session, 300, 2000);
  Owner owner;
  EXPECT_TRUE(owner.copy(batches_of(others))->is_complete());
  EXPECT_TRUE(others.has_arrived());
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 0U);
  EXPECT_EQ(stand_in::calls("cuMemcpyDtoDAsync"), 600U);
}

TEST_F(CopyThreads, DoWithoutAKernelThatCannotBeLoaded) {
  const Session session;
  const Scattered scattered(session, 300, 2000);
  stand_in::fail("cuModuleLoadData", kCuNoBinaryForGpu);
  Owner owner;
  EXPECT_TRUE(owner.copy(scattered.work())->is_complete());
  EXPECT_TRUE(owner.copy(scattered.work())->is_complete());
  EXPECT_TRUE(scattered.has_arrived());
  EXPECT_EQ(stand_in::calls("cuModuleLoadData"), 1U);
}

TEST_F(CopyThreads, MergeWhatIsSideBySide) {
  const Session session;
  const DeviceMemory source = allocate(session.driver, 100'000);
  const DeviceMemory target = allocate(session.driver, 100'000);
  session.fill(source.get(), 5, 100'000);
  CopyWork work;
  for (std::size_t i = 0; i < 1000; ++i)
    work.ranges.push_back({source.get() + i * 100, target.get() + i * 100, 100});
  work.ranges.emplace_back();
  Owner owner;
  EXPECT_TRUE(owner.copy(std::move(work))->is_complete());
  EXPECT_EQ(session.read(target.get(), 100'000), bytes_of(5, 100'000));
  EXPECT_EQ(stand_in::calls("cuMemcpyDtoDAsync"), 1U);
}

TEST_F(CopyThreads, EndACopyOfNothing) {
  Owner owner;
  EXPECT_TRUE(owner.copy({})->is_complete());
  EXPECT_TRUE(owner.copy({.ranges = KeptPages(3)})->is_complete());
}

TEST_F(CopyThreads, LetOneGpuReachAnotherOnce) {
  const Session far(1);
  const DeviceMemory there = allocate(far.driver, 1000);
  const Session near(0);
  const DeviceMemory here = allocate(near.driver, 1000);
  near.fill(here.get(), 3, 1000);
  CopyWork work{.peers = {1, 0}};
  for (std::size_t i = 0; i < 10; ++i)
    work.ranges.push_back({here.get() + i * 100, there.get() + i * 100, 70});
  Owner owner;
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(
        owner.copy({.ranges = work.ranges, .peers = work.peers})->is_complete());
  EXPECT_EQ(far.read(there.get() + 900, 70), bytes_of(3, 70));
  EXPECT_EQ(stand_in::calls("cuCtxEnablePeerAccess"), 1U);
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 2U);
}

TEST_F(CopyThreads, SayThatOneGpuDoesNotReachAnother) {
  stand_in::set_peers(false);
  Owner owner;
  const auto copy = owner.copy({.ranges = {{1, 2, 3}}, .peers = {1}});
  expect_failure(*copy, Cause::kUnreachable,
                 "letting GPU 0 (Stand-in 0) reach the memory of GPU 1: ");
  EXPECT_EQ(copy->failure()->kind, ErrorKind::kUnsupported);
  EXPECT_EQ(stand_in::calls("cuMemcpyDtoDAsync"), 0U);
}

TEST_F(CopyThreads, SayThatThereIsNoSuchGpu) {
  Owner owner;
  expect_failure(*owner.copy({.ranges = {{1, 2, 3}}, .device = 7}), Cause::kDriver,
                 "there is no GPU 7");
}

TEST_F(CopyThreads, StopWithWhatTheGpuHas) {
  const Session session;
  const Scattered scattered(session, 10 * kRangesOfBatch, 40);
  Owner owner;
  stand_in::hold_streams();
  const auto copy = owner.add(1, batches_of(scattered));
  stand_in::wait_for_calls("cuStreamWriteValue32", 2);
  copy->stop();
  stand_in::release_streams();
  EXPECT_EQ(owner.wait(), 1U);
  EXPECT_TRUE(copy->was_stopped());
  EXPECT_FALSE(copy->is_complete());
  EXPECT_FALSE(copy->failure());
  EXPECT_EQ(stand_in::calls("cuMemcpyDtoDAsync"), 2 * kRangesOfBatch);
  EXPECT_EQ(copy->bytes_moved(), scattered.bytes(2 * kRangesOfBatch));
  EXPECT_EQ(owner.progress(), copy->bytes_moved());
}

TEST_F(CopyThreads, MoveNothingOfWhatWasStoppedBefore) {
  const Session session;
  const Scattered scattered(session, 10, 100);
  Owner owner;
  std::atomic<std::uint64_t> progress{0};
  const auto copy = std::make_shared<DeviceCopy>(scattered.work(), progress);
  copy->stop();
  owner.thread().add(5, copy);
  EXPECT_EQ(owner.wait(), 5U);
  EXPECT_TRUE(scattered.is_untouched());
}

TEST_F(CopyThreads, WaitForWhatTheGpuHasWhenTheyAreDestroyed) {
  const std::size_t objects = stand_in::objects();
  const std::size_t mappings = stand_in::mappings();
  {
    const Session session;
    const Scattered scattered(session, 10 * kRangesOfBatch, 40);
    Owner owner;
    stand_in::hold_streams();
    const auto copy = owner.add(1, batches_of(scattered));
    stand_in::wait_for_calls("cuStreamWriteValue32", 2);
    std::thread destroyer([&] { owner.destroy_thread(); });
    EXPECT_EQ(stand_in::calls("cuStreamDestroy"), 0U);
    stand_in::release_streams();
    destroyer.join();
    const unsigned ranges = stand_in::calls("cuMemcpyDtoDAsync");
    EXPECT_GE(ranges, 2 * kRangesOfBatch);
    EXPECT_EQ(copy->bytes_moved(), scattered.bytes(ranges));
    EXPECT_EQ(stand_in::calls("cuStreamDestroy"), stand_in::calls("cuStreamCreate") - 1)
        << "the session's is left";
    EXPECT_EQ(stand_in::calls("cuDevicePrimaryCtxRelease"), 1U);
  }
  EXPECT_EQ(stand_in::objects(), objects);
  EXPECT_EQ(stand_in::mappings(), mappings);
}

TEST_F(CopyThreads, LetASmallCopyOvertakeALargeOne) {
  const Session session;
  const Scattered large(session, 40 * kRangesOfBatch, 40, 1);
  const Scattered small(session, 20, 40, 2);
  Owner owner;
  stand_in::hold_streams();
  const auto of_large = owner.add(1, batches_of(large));
  stand_in::wait_for_calls("cuStreamWriteValue32", 2);
  owner.add(2, batches_of(small));
  stand_in::release_streams();
  EXPECT_EQ(owner.wait(), 2U);
  EXPECT_TRUE(small.has_arrived());
  EXPECT_EQ(owner.wait(), 1U);
  EXPECT_TRUE(large.has_arrived());
}

TEST_F(CopyThreads, DoManyCopiesAtOnce) {
  const Session session;
  std::vector<std::unique_ptr<Scattered>> all;
  std::set<CopyTag> waited;
  std::vector<std::shared_ptr<DeviceCopy>> copies;
  Owner owner;
  for (unsigned i = 0; i < 30; ++i) {
    all.push_back(
        std::make_unique<Scattered>(session, 1 + i * i % 300, 1 + i * 97 % 700, i));
    CopyWork work = all.back()->work();
    work.may_use_kernels = i % 3 != 0;
    work.max_blocks = i % 5;
    copies.push_back(owner.add(i + 1, std::move(work)));
    waited.insert(i + 1);
  }
  while (!waited.empty()) ASSERT_EQ(waited.erase(owner.wait()), 1U);
  for (const auto& copy : copies) EXPECT_TRUE(copy->is_complete());
  for (const auto& scattered : all) EXPECT_TRUE(scattered->has_arrived());
}

TEST_F(CopyThreads, EndAllCopiesOfAPoisonedContextAndLaterOnes) {
  const Session session(0);
  const Scattered scattered(session, 10 * kRangesOfBatch, 40);
  const Session far(1);
  const Scattered others(far, 20, 100);
  Owner owner;
  stand_in::hold_streams();
  const auto first = owner.add(1, batches_of(scattered));
  const auto second = owner.add(2, batches_of(scattered));
  stand_in::wait_for_calls("cuStreamWriteValue32", 2);
  stand_in::poison(0, kCuIllegalAddress);
  EXPECT_EQ(owner.wait() + owner.wait(), 3U);
  stand_in::release_streams();
  const unsigned calls = stand_in::calls("cuCtxPushCurrent");
  const auto later = owner.copy(batches_of(scattered));
  EXPECT_EQ(stand_in::calls("cuCtxPushCurrent"), calls) << "without asking the driver";
  for (const auto& copy : {first, second, later}) {
    expect_failure(*copy, Cause::kPoisoned, "GPU 0 (Stand-in 0)");
    expect_failure(*copy, Cause::kPoisoned, "which has to be restarted");
  }
  CopyWork work = others.work();
  work.device = 1;
  EXPECT_TRUE(owner.copy(std::move(work))->is_complete()) << "of the other GPU";
  EXPECT_TRUE(others.has_arrived());
}

TEST_F(CopyThreads, SayAtOnceThatAContextWasPoisonedBefore) {
  stand_in::poison(0, kCuIllegalAddress);
  Owner owner;
  for (int i = 0; i < 2; ++i)
    expect_failure(*owner.copy({.ranges = {{1, 2, 3}}}), Cause::kPoisoned, "restarted");
}

TEST_F(CopyThreads, SayThatTheirOwnCopyHasPoisonedTheContext) {
  const Session session;
  const CuDevicePointer freed = allocate(session.driver, 1000).get();
  const DeviceMemory target = allocate(session.driver, 2000);
  Owner owner;
  const auto copy = owner.copy({.ranges = {{freed, target.get(), 1000}}});
  expect_failure(*copy, Cause::kPoisoned, "CUDA_ERROR_ILLEGAL_ADDRESS (700)");
}

TEST_F(CopyThreads, WaitForTheRestOfABatchThatFailedInPart) {
  const Session session;
  const Scattered scattered(session, 3 * kRangesOfBatch, 40);
  Owner owner;
  stand_in::hold_streams();
  stand_in::fail("cuMemcpyDtoDAsync", kCuInvalidValue, kRangesOfBatch + 10);
  const auto copy = owner.add(1, batches_of(scattered));
  stand_in::wait_for_calls("cuStreamWriteValue32", 2);
  owner.copy({});
  EXPECT_FALSE(owner.thread().has_ended()) << "the GPU still has some of the first";
  stand_in::release_streams();
  EXPECT_EQ(owner.wait(), 1U);
  expect_failure(*copy, Cause::kDriver, "copying by GPU 0 (Stand-in 0): ");
  EXPECT_EQ(copy->bytes_moved(), scattered.bytes(kRangesOfBatch))
      << "of the batch that went well";
  EXPECT_EQ(stand_in::calls("cuMemcpyDtoDAsync"), kRangesOfBatch + 11);
}

TEST_F(CopyThreads, SeeTheEndThatNoWordTellsOf) {
  const Session session;
  const Scattered scattered(session, 20, 40);
  stand_in::fail("cuStreamWriteValue32", kCuNotSupported);
  Owner owner;
  EXPECT_TRUE(owner.copy(scattered.work())->is_complete());
  EXPECT_TRUE(scattered.has_arrived());
}

TEST_F(CopyThreads, AreLeftAloneInAForkedChild) {
  const Session session;
  const Scattered scattered(session, 20, 40);
  Owner owner;
  owner.copy(scattered.work());
  const nixl_connect::testing::ForkedProcess child([&] {
    try {
      owner.add(2, scattered.work());
      std::abort();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kUnsupported) std::abort();
    }
    owner.destroy_thread();
  });
  EXPECT_TRUE(owner.copy(scattered.work())->is_complete());
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
