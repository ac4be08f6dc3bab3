// SPDX-License-Identifier: Apache-2.0
//
// Points in streams, copies that wait for them, and streams that wait for an end.
#include <thread>

#include "paths/cuda/copy_owner.h"
#include "paths/cuda/end_flag.h"
#include "paths/cuda/roles.h"
#include "paths/cuda/stand_in_fixture.h"
#include "paths/cuda/stream_points.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using std::chrono::milliseconds;
using StreamPoints = StandInTest;
using EndFlags = StandInTest;
using CopiesInOrder = StandInTest;
using Cause = CopyFailure::Cause;

// A word that holds up a stream until it is written.
class Brake {
 public:
  explicit Brake(const Session& session) : flag_(session.driver, 0) {
    flag_.wait().put_on(session.stream());
  }
  void release() { flag_.raise(); }

 private:
  EndFlag flag_;
};

StreamPointPtr point_of(const Session& session,
                        EventReach reach = EventReach::kThisProcess) {
  return record_point(session.driver, 0, session.stream(), reach);
}

TEST_F(StreamPoints, ComeWhenAllThatTheStreamHadIsDone) {
  const Session session;
  EXPECT_TRUE((point_of(session)->await(), true));
  Brake brake(session);
  const auto point = point_of(session);
  EXPECT_FALSE(point->has_come());
  brake.release();
  point->await();
  EXPECT_TRUE(point->has_come());
}

TEST_F(StreamPoints, AreOfTheDefaultStreamsToo) {
  const Session session;
  for (const std::uintptr_t name : {0, 1, 2}) {
    const auto stream = reinterpret_cast<CuStream>(name);
    EndFlag flag(session.driver, 0);
    flag.wait().put_on(stream);
    const auto point =
        record_point(session.driver, 0, stream, EventReach::kThisProcess);
    EXPECT_FALSE(point->has_come()) << name;
    if (name == 2)
      std::thread([&] {
        const auto other =
            record_point(session.driver, 0, stream, EventReach::kThisProcess);
        other->await();
      }).join();
    flag.raise();
    point->await();
  }
}

TEST_F(StreamPoints, LeaveTheCurrentContextAsItIs) {
  const Session other(1);
  const Session session(0);
  const Session current(1);
  point_of(session);
  CuContext now = nullptr;
  session.functions.context_get_current(&now);
  EXPECT_EQ(now, current.context());
}

TEST_F(StreamPoints, OfAnotherGpuAreRefused) {
  const Session session(1);
  try {
    point_of(session);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("the stream is none of GPU 0"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(StreamPoints, UseTheirEventsAgain) {
  const Session session;
  const auto made = [] { return stand_in::calls("cuEventCreate"); };
  const auto first = point_of(session, EventReach::kAllProcesses);
  const unsigned before = made();
  const CuIpcHandle handle = *first->handle();
  EXPECT_EQ(find_point(handle), first);
  auto second = point_of(session, EventReach::kAllProcesses);
  EXPECT_NE(second->handle(), handle);
  EXPECT_FALSE(point_of(session)->handle());
  const CuIpcHandle other = *second->handle();
  second = nullptr;
  EXPECT_EQ(find_point(other), nullptr);
  const unsigned with_all = made();
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(point_of(session, EventReach::kAllProcesses)->handle(), other);
  EXPECT_EQ(made(), with_all);
  EXPECT_LE(with_all - before, 2U);
}

TEST_F(EndFlags, HoldStreamsUpUntilTheyAreRaised) {
  const Session session;
  const Session other;
  EndFlag flag(session.driver, 0);
  flag.wait().put_on(session.stream());
  flag.wait().put_on(other.stream());
  EXPECT_EQ(session.functions.stream_query(session.stream()), kCuNotReady);
  flag.raise();
  session.finish();
  other.finish();
  EXPECT_FALSE(flag);
}

// A stream that comes late to its wait finds the count of a later end.
TEST_F(EndFlags, LetLateStreamsPassWhenTheirWordIsUsedAgain) {
  const Session session;
  const Session late;
  Brake brake(late);
  for (int i = 0; i < 5; ++i) {
    EndFlag flag(session.driver, 0);
    flag.wait().put_on(late.stream());
    EndFlag moved = std::move(flag);
  }
  EndFlag unrelated(session.driver, 0);
  brake.release();
  late.finish();
}

TEST_F(EndFlags, DoNotHoldUpStreamsOfOtherGpus) {
  const Session session(1);
  EndFlag flag(session.driver, 0);
  const Session other(0);
  flag.wait().put_on(other.stream());
  session.finish();
  flag.raise();
  other.finish();
}

TEST_F(CopiesInOrder, BeginWhenThePointHasCome) {
  const Session session;
  const DeviceMemory source = allocate(session.driver, 1000);
  const DeviceMemory target = allocate(session.driver, 1000);
  session.fill(source.get(), 1, 1000);
  Brake brake(session);
  session.functions.memset_async(source.get(), 2, 1000, session.stream());
  Owner owner;
  owner.add(7, {.ranges = {{source.get(), target.get(), 1000}},
                .after = {point_of(session)}});
  const Session beside;
  const Scattered others(beside, 300, 2000);
  EXPECT_TRUE(owner.copy(others.work())->is_complete()) << "which need not wait";
  EXPECT_EQ(stand_in::calls("cuMemcpyDtoDAsync"), 0U);
  brake.release();
  EXPECT_EQ(owner.wait(), 7U);
  EXPECT_EQ(session.read(target.get(), 1000), bytes_of(2, 1000));
}

TEST_F(CopiesInOrder, NeedNotWaitToBeStopped) {
  const Session session;
  const DeviceMemory memory = allocate(session.driver, 1000);
  Brake brake(session);
  Owner owner;
  const auto copy = owner.add(7, {.ranges = {{memory.get(), memory.get() + 500, 500}},
                                  .after = {point_of(session)}});
  copy->stop();
  EXPECT_EQ(owner.wait(), 7U);
  EXPECT_FALSE(copy->is_complete());
  EXPECT_EQ(copy->bytes_moved(), 0U);
  brake.release();
}

TEST_F(CopiesInOrder, EndWithTheirContext) {
  const Session session;
  const DeviceMemory memory = allocate(session.driver, 1000);
  const Brake brake(session);
  Owner owner;
  const auto copy = owner.add(7, {.ranges = {{memory.get(), memory.get() + 500, 500}},
                                  .after = {point_of(session)}});
  stand_in::poison(0, kCuLaunchFailed);
  EXPECT_EQ(owner.wait(), 7U);
  ASSERT_TRUE(copy->failure());
  EXPECT_EQ(copy->failure()->cause, Cause::kPoisoned);
}

// The child's stream waits for a word of ours, and fills the memory then.
TEST_F(CopiesInOrder, WaitForStreamsOfOtherProcesses) {
  const Child child("hand out memory");
  ForeignMemory memory{{std::byte{1}}, {}, CuIpcHandle{}};
  ForeignPoint point{memory.owner, {}};
  for (CuIpcHandle* const handle : {&*memory.handle, &point.handle}) {
    const base::Bytes bytes = child.channel().receive();
    std::copy(bytes.begin(), bytes.end(), handle->bytes.begin());
  }
  memory.chunks = {{0x1000, 5000, 1}};
  const Session session(1);
  const DeviceMemory local = allocate(session.driver, 5000);
  const auto work = [&] {
    CopyWork read{.device = 1, .foreign_side = CopyWork::Foreign::kSources};
    read.ranges = {{0x1000, local.get(), 5000}};
    read.foreign.push_back({memory, {}, nullptr});
    read.after_foreign = point;
    return read;
  };
  Owner owner;
  owner.add(7, work());
  stand_in::wait_for_calls("cuEventQuery", 3);
  EXPECT_EQ(stand_in::calls("cuMemcpyDtoDAsync"), 0U);
  child.channel().send("go on");
  EXPECT_EQ(owner.wait(), 7U);
  EXPECT_EQ(session.read(local.get(), 5000), bytes_of(7, 5000));
  EXPECT_TRUE(owner.copy(work())->is_complete());
  EXPECT_EQ(stand_in::calls("cuIpcOpenEventHandle"), 1U) << "kept open";
  owner.thread().drop(memory.owner);
  EXPECT_TRUE(owner.copy(work())->is_complete());
  EXPECT_EQ(stand_in::calls("cuIpcOpenEventHandle"), 2U);
}

// Of a graph, on another thread.
TEST_F(CopiesInOrder, DoNotSpoilWhatIsCaptured) {
  const Session session;
  const Scattered scattered(session, 300, 2000);
  Brake brake(session);
  stand_in::begin_capture();
  CopyWork work = scattered.work();
  EndFlag flag;
  // Which has said nothing about captures yet.
  std::thread([&] {
    work.after = {point_of(session)};
    EXPECT_FALSE(work.after[0]->has_come());
    flag = EndFlag(session.driver, 0);
    flag.wait().put_on(session.stream());
  }).join();
  Owner owner;
  owner.add(7, std::move(work));
  brake.release();
  EXPECT_EQ(owner.wait(), 7U);
  EXPECT_TRUE(stand_in::end_capture());
  flag.raise();
  session.finish();
  EXPECT_TRUE(scattered.has_arrived());
}

TEST_F(CopiesInOrder, SayThatAnEventCannotBeOpened) {
  const Session session;
  const DeviceMemory memory = allocate(session.driver, 1000);
  stand_in::fail("cuIpcOpenEventHandle", kCuInvalidValue);
  Owner owner;
  const auto copy = owner.copy({.ranges = {{memory.get(), memory.get() + 500, 500}},
                                .after_foreign = ForeignPoint{}});
  ASSERT_TRUE(copy->failure());
  EXPECT_EQ(copy->failure()->cause, Cause::kNotOpened);
  EXPECT_NE(copy->failure()->message.find("opening a CUDA event of another process"),
            std::string::npos)
      << copy->failure()->message;
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
