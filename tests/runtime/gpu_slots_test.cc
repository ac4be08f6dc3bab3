// SPDX-License-Identifier: Apache-2.0
//
// Operations between two GPUs of which neither process reaches the other's memory: the
// bytes go through slots of the host's, which the peer fills or empties, by the
// stand-in for CUDA's driver.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <deque>
#include <future>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/cuda/stand_in/control.h"
#include "runtime/buffers.h"
#include "runtime/gpu_ranges.h"
#include "runtime/gpu_servant.h"
#include "runtime/gpu_serving.h"
#include "support/child.h"
#include "wire/control.h"

namespace nixl_connect::testing {
namespace {

using std::chrono::milliseconds;

class Slots : public Serving {
 protected:
  Slots() : Serving(with_gpus()) {}
};

// By how the memory lies.
class SlotsOf : public Slots, public ::testing::WithParamInterface<int> {
 protected:
  Ranges ranges(On on = On::kGpu, int device = 0) const {
    return {on, kLayouts[static_cast<std::size_t>(GetParam())], device};
  }
  std::string number() const { return std::to_string(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(, SlotsOf, ::testing::Range(0, 5), [](const auto& each) {
  return "Layout" + std::to_string(each.param);
});

TEST_P(SlotsOf, AReadBringsWhatNobodyElseCanOpen) {
  for (const On on : {On::kGpu, On::kPool}) {
    const Ranges target = ranges(on);
    const RdmaMetadata metadata = ask("read pool " + number());
    auto read = connector_.begin_read(metadata, target.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "cuda.staged");
    EXPECT_EQ(read.bytes_transferred(), target.bytes());
    EXPECT_TRUE(target.has(Servant::kRead));
    EXPECT_EQ(order("end"), "nothing");
  }
}

TEST_P(SlotsOf, AWriteTakesTheBytesThere) {
  const Ranges source = ranges();
  source.fill(Servant::kWritten);
  const RdmaMetadata metadata = ask("write pool " + number());
  auto write = connector_.begin_write(source.descriptors(), metadata);
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  EXPECT_EQ(write.path(), "cuda.staged");
  EXPECT_EQ(order("check"), "right");
  EXPECT_TRUE(source.has(Servant::kWritten));
}

TEST_P(SlotsOf, GpusNeedNotReachEachOther) {
  stand_in::set_peers(false);
  const Ranges target = ranges(On::kPool, 1);
  auto read = connector_.begin_read(ask("read gpu " + number()), target.descriptors());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "cuda.staged");
  EXPECT_TRUE(target.has(Servant::kRead));
}

TEST_F(Slots, AreNotForWhatCanBeOpened) {
  const Ranges target(On::kGpu, kLayouts[1]);
  auto read = connector_.begin_read(ask("read gpu 1"), target.descriptors());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "cuda.peer");
}

TEST_F(Slots, LeaveACancelledReadQuietWhenThePeersGpuIsDone) {
  const Ranges target(On::kGpu, kLayouts[1]);
  auto read = begin_held_read(target, On::kPool);
  read.cancel();
  // Nothing tells that it goes on: a wrong end would come within this time.
  EXPECT_FALSE(read.wait_for(milliseconds(50)));
  EXPECT_EQ(order("release"), "released");
  EXPECT_EQ(finish(read), OperationStatus::kCancelled);
}

TEST_F(Slots, LeaveACancelledOperationQuietWhenTheOwnGpuIsDone) {
  const Ranges memory(On::kGpu, kLayouts[4]);
  const auto cancel_in_the_middle = [&](const auto& begin) {
    const unsigned calls = stand_in::calls("cuStreamWriteValue32");
    stand_in::hold_streams();
    auto operation = begin();
    stand_in::wait_for_calls("cuStreamWriteValue32", calls + 1);
    operation.cancel();
    EXPECT_FALSE(operation.wait_for(milliseconds(50)));
    stand_in::release_streams();
    EXPECT_EQ(finish(operation), OperationStatus::kCancelled);
  };
  const RdmaMetadata readable = ask("read pool 4");
  cancel_in_the_middle(
      [&] { return connector_.begin_read(readable, memory.descriptors()); });
  const RdmaMetadata writable = ask("write pool 4");
  cancel_in_the_middle(
      [&] { return connector_.begin_write(memory.descriptors(), writable); });
}

TEST_F(Slots, AskThePeerForNothingBehindACancel) {
  const Ranges source(On::kGpu, kLayouts[1]);
  const RdmaMetadata metadata = ask("write pool 1");
  const unsigned calls = stand_in::calls("cuStreamWriteValue32");
  stand_in::hold_streams();
  auto write = connector_.begin_write(source.descriptors(), metadata);
  stand_in::wait_for_calls("cuStreamWriteValue32", calls + 1);
  owner_.stop();
  write.cancel();
  stand_in::release_streams();
  EXPECT_EQ(finish(write), OperationStatus::kCancelled);
  owner_.signal(SIGCONT);
}

TEST_F(Slots, EndWithTheConnector) {
  const Ranges memory(On::kGpu, kLayouts[4]);
  auto read = begin_held_read(memory, On::kPool, 4);
  auto closed = std::async(std::launch::async, [&] { connector_.close(); });
  order("release");
  closed.get();
  EXPECT_EQ(read.status(), OperationStatus::kCancelled);
}

TEST_F(Slots, EndWithThePeer) {
  const Ranges target(On::kGpu, kLayouts[1]);
  auto read = begin_held_read(target, On::kPool);
  owner_.kill();
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST_F(Slots, AreNotTakenWhereTheyCannotBePinned) {
  const Ranges target(On::kGpu, kLayouts[1]);
  {  // that the stream has its word, and the kernel its lists
    auto first = connector_.begin_read(ask("read gpu 1"), target.descriptors());
    EXPECT_EQ(finish(first), OperationStatus::kComplete);
  }
  const RdmaMetadata metadata = ask("read pool 1");
  stand_in::fail("cuMemHostRegister", paths::cuda::kCuOutOfMemory);
  const std::string text = text_of_read(metadata, target);
  expect_named(text, "nor with the peer's help: pinning ");
  expect_named(text, "ucx: ");
}

// While its GPU has the first parts.
TEST_F(Slots, EndWithTheOperationOfThePeer) {
  const Ranges target(On::kGpu, kLayouts[4]);
  const RdmaMetadata metadata = ask("read pool 4");
  order("hold");
  auto read = connector_.begin_read(metadata, target.descriptors());
  EXPECT_EQ(order("wait"), "given");
  EXPECT_EQ(order("cancel"), "busy");
  EXPECT_EQ(order("release"), "released");
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kCancelled);
  EXPECT_EQ(order("end"), "nothing");
}

TEST_F(Slots, AreSharedByManyOperations) {
  constexpr std::size_t kMany = wire::kMaxServedOperations / 2 + 2;
  const RdmaMetadata metadata = ask("read pool 4 " + std::to_string(kMany));
  std::deque<Ranges> targets;
  std::vector<ReadOperation> reads;
  for (std::size_t i = 0; i < kMany; ++i) {
    targets.emplace_back(On::kGpu, kLayouts[4]);
    reads.push_back(connector_.begin_read(metadata, targets.back().descriptors()));
  }
  for (std::size_t i = 0; i < kMany; ++i) {
    EXPECT_EQ(finish(reads[i]), OperationStatus::kComplete);
    EXPECT_TRUE(targets[i].has(Servant::kRead));
  }
  EXPECT_EQ(order("end"), "nothing");
}

TEST_F(Slots, AreNotTakenIfThePeerRefuses) {
  const Ranges target(On::kGpu, kLayouts[0]);
  const std::string text = text_of_read_with_a_stream("read pool 0", target);
  expect_named(text, "cuda.peer: the peer's memory cannot be opened");
  expect_named(text, "nor with the peer's help: a stream waits for the end");
}

// Until then the copies need what the driver may make wait for that stream.
TEST_F(Slots, LetAStreamWaitOnlyWhenAllIsOver) {
  stand_in::set_calls_wait_for_streams(true);
  const Session session(0);
  const Ranges target(On::kGpu, kLayouts[4]);
  auto read = connector_.begin_read(ask("read pool 4"), target.descriptors());
  read.wait_on({session.stream()});
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_TRUE(target.has(Servant::kRead));
}

}  // namespace
}  // namespace nixl_connect::testing
