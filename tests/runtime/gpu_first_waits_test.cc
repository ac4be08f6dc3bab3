// SPDX-License-Identifier: Apache-2.0
//
// Streams that wait for the first operations of a Connector, for which the stand-in for
// CUDA's driver is to load, allocate and open a lot, and waits for streams that wait.
#include "paths/cuda/page_kernel_image.h"
#include "runtime/gpu_order.h"

namespace nixl_connect::testing {
namespace {

using GpuFirstWaits = GpuOrder;
using std::chrono::milliseconds;

TEST_F(GpuFirstWaits, LetsAStreamWaitForTheFirstPagesAtOnce) {
  const RdmaMetadata remote = ask("pages");
  stand_in::set_calls_wait_for_streams(true);
  auto read = connector_.begin_read(remote, gpu_.pages(), gpu_.ordered());
  read.wait_on(gpu_.stream());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  const bool has_kernel = paths::cuda::page_kernel_image() != nullptr;
  EXPECT_EQ(stand_in::calls("cuModuleLoadData"), has_kernel ? 1U : 0U);
  EXPECT_EQ(stand_in::calls("cuIpcOpenMemHandle"), 1U);
  gpu_.finish_stream();
}

TEST_F(GpuFirstWaits, LetsAStreamWaitForAPeersStreamAndTheFirstPages) {
  const RdmaMetadata remote = ask("late pages");
  stand_in::set_calls_wait_for_streams(true);
  auto read = connector_.begin_read(remote, gpu_.pages(), gpu_.ordered());
  read.wait_on(gpu_.stream());
  expect_waiting();
  EXPECT_FALSE(is_terminal(read.status()));
  release_owner();
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
}

TEST_F(GpuFirstWaits, LetsAStreamWaitForTheFirstWriteAtOnce) {
  gpu_.fill_now(9);
  const RdmaMetadata remote = ask("write");
  release_owner();
  stand_in::set_calls_wait_for_streams(true);
  auto write = connector_.begin_write(gpu_.descriptor(), remote, gpu_.ordered());
  write.wait_on(gpu_.stream());
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  owner_.channel().send("check");
  EXPECT_EQ(owner_.channel().receive_text(), "right");
}

// Nothing is left to be made by then, whatever they are.
TEST_F(GpuFirstWaits, NeedsNothingOfTheDriverForLaterOperationsOnTheSameMemory) {
  const RdmaMetadata remote = ask("write");
  release_owner();
  auto first = connector_.begin_write(gpu_.descriptor(), remote);
  EXPECT_EQ(finish(first), OperationStatus::kComplete);
  const RdmaMetadata pages = ask("pages");
  gpu_.hold();
  const unsigned pinned = stand_in::calls("cuMemHostRegister");
  stand_in::set_calls_wait_for_streams(true);
  auto read = connector_.begin_read(pages, gpu_.pages());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(stand_in::calls("cuMemHostRegister"), pinned);
  gpu_.release();
}

// The first one's is to end before the driver is asked for the second one's.
TEST_F(GpuFirstWaits, OpensNoMemoryForOneReadWhileAStreamWaitsForAnother) {
  Child other{"owner"};
  const RdmaMetadata first = ask("late pages");
  other.channel().send("pages");
  const auto second = RdmaMetadata::from_json(other.channel().receive_text());
  stand_in::set_calls_wait_for_streams(true);
  auto one = connector_.begin_read(first, gpu_.pages(), {.timeout = kSoon});
  one.wait_on(gpu_.stream());
  auto two = connector_.begin_read(second, gpu_.pages(), {.timeout = kSoon});
  auto waiting = std::async(std::launch::async, [&] { two.wait_on(gpu_.stream()); });
  expect_waiting();
  EXPECT_FALSE(is_terminal(two.status()));
  EXPECT_EQ(stand_in::calls("cuIpcOpenMemHandle"), 1U);
  release_owner();
  EXPECT_EQ(finish(one), OperationStatus::kComplete);
  EXPECT_EQ(finish(two), OperationStatus::kComplete);
  waiting.get();
}

TEST_F(GpuFirstWaits, DoesNotHoldAReadForEverWhichAnotherMayWaitFor) {
  Child other{"owner"};
  const RdmaMetadata first = ask("late pages");
  other.channel().send("pages");
  const auto second = RdmaMetadata::from_json(other.channel().receive_text());
  auto one = connector_.begin_read(first, gpu_.pages(), {.timeout = kSoon});
  one.wait_on(gpu_.stream());
  auto two = connector_.begin_read(second, gpu_.pages(), {.timeout = kSoon});
  EXPECT_EQ(finish(two), OperationStatus::kComplete);
  EXPECT_FALSE(is_terminal(one.status()));
  release_owner();
  EXPECT_EQ(finish(one), OperationStatus::kComplete);
}

// A stream that waits for something else keeps the driver from making what the first
// copy needs: no other one is to wait for the read then, nor its caller for ever.
TEST_F(GpuFirstWaits, LetsCallersGoOnForWhomTheDriverMakesNothing) {
  const RdmaMetadata remote = ask("pages");
  gpu_.hold();
  stand_in::set_calls_wait_for_streams(true);
  auto read =
      connector_.begin_read(remote, gpu_.pages(), {.timeout = milliseconds(100)});
  const unsigned waits = stand_in::calls("cuStreamWaitValue32");
  read.wait_on(gpu_.stream());
  EXPECT_EQ(stand_in::calls("cuStreamWaitValue32"), waits);
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 0U);
  gpu_.release();
  gpu_.finish_stream();
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kTimedOut);
}

}  // namespace
}  // namespace nixl_connect::testing
