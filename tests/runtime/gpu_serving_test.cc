// SPDX-License-Identifier: Apache-2.0
//
// Operations between memory of the host in a process without CUDA and a GPU of another
// process, which moves the bytes by the stand-in for CUDA's driver.
#include "runtime/gpu_serving.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <chrono>
#include <csignal>
#include <deque>
#include <future>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/cuda/stand_in/control.h"
#include "runtime/buffers.h"
#include "runtime/gpu_ranges.h"
#include "runtime/gpu_servant.h"
#include "support/child.h"
#include "wire/control.h"

namespace nixl_connect {

namespace {

using std::chrono::milliseconds;
using testing::Channel;
using testing::Child;
using testing::expect_named;
using testing::finish;
using testing::kind_of;
using testing::kLayouts;
using testing::kSoon;
using testing::On;
using testing::Ranges;
using testing::Servant;
using testing::Serving;
using testing::text_of;
using testing::with_gpus;
using testing::without_gpus;

// By what the local memory is and how it lies.
class ServingOf : public Serving,
                  public ::testing::WithParamInterface<std::tuple<On, int>> {
 protected:
  On local() const { return std::get<0>(GetParam()); }
  Ranges ranges() const {
    return {local(), kLayouts[static_cast<std::size_t>(std::get<1>(GetParam()))]};
  }
  std::string number() const { return std::to_string(std::get<1>(GetParam())); }
};

INSTANTIATE_TEST_SUITE_P(, ServingOf,
                         ::testing::Combine(::testing::Values(On::kHost, On::kPlain),
                                            ::testing::Values(0, 1, 2, 3)),
                         [](const auto& each) {
                           return std::string(std::get<0>(each.param) == On::kHost
                                                  ? "Allocated"
                                                  : "Plain") +
                                  "Layout" + std::to_string(std::get<1>(each.param));
                         });

TEST_P(ServingOf, AReadBringsTheBytes) {
  const Ranges target = ranges();
  const RdmaMetadata metadata = ask("read gpu " + number());
  auto read = connector_.begin_read(metadata, target.descriptors());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "cuda.staged");
  EXPECT_EQ(read.explain().path, "cuda.staged");
  EXPECT_EQ(read.bytes_transferred(), target.bytes());
  EXPECT_TRUE(target.has(Servant::kRead));
  EXPECT_EQ(order("end"), "nothing");
}

TEST_P(ServingOf, AWriteTakesThemThere) {
  const Ranges source = ranges();
  source.fill(Servant::kWritten);
  const RdmaMetadata metadata = ask("write gpu " + number());
  auto write = connector_.begin_write(source.descriptors(), metadata);
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  EXPECT_EQ(write.path(), "cuda.staged");
  EXPECT_EQ(order("check"), "right");
  EXPECT_TRUE(source.has(Servant::kWritten));
}

// More than the peer takes at once: the others wait for their turn.
class ManyServed : public Serving {
 protected:
  void SetUp() override {
    Serving::SetUp();
    const RdmaMetadata metadata = ask("read gpu 1 " + std::to_string(kMany));
    order("hold");
    for (std::size_t i = 0; i < kMany; ++i) {
      targets_.emplace_back(On::kHost, kLayouts[1]);
      reads_.push_back(connector_.begin_read(metadata, targets_.back().descriptors()));
    }
    EXPECT_EQ(order("wait"), "given");
  }

  static constexpr std::size_t kMany = 3 * wire::kMaxServedOperations;
  std::deque<Ranges> targets_;
  std::vector<ReadOperation> reads_;
};

TEST_F(ManyServed, AllComeInTurn) {
  EXPECT_EQ(order("release"), "released");
  for (std::size_t i = 0; i < kMany; ++i) {
    EXPECT_EQ(finish(reads_[i]), OperationStatus::kComplete);
    EXPECT_TRUE(targets_[i].has(Servant::kRead));
  }
  EXPECT_EQ(order("end"), "nothing");
}

TEST_F(ManyServed, OneThatStillWaitsIsCancelledAtOnce) {
  reads_.back().cancel();
  EXPECT_EQ(finish(reads_.back()), OperationStatus::kCancelled);
  EXPECT_EQ(order("release"), "released");
}

TEST_F(ManyServed, AllEndWithThePeer) {
  owner_.kill();
  for (ReadOperation& read : reads_)
    EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST_F(ManyServed, AllEndWithTheConnector) {
  auto closed = std::async(std::launch::async, [&] { connector_.close(); });
  // Of which the peer has nothing, as it still waits for its turn.
  EXPECT_EQ(finish(reads_.back()), OperationStatus::kCancelled);
  order("release");
  closed.get();
  for (const ReadOperation& read : reads_)
    EXPECT_EQ(read.status(), OperationStatus::kCancelled);
}

TEST_F(Serving, IsQuietWhenACancelledReadHasEnded) {
  const Ranges target(On::kHost, kLayouts[1]);
  auto read = begin_held_read(target);
  read.cancel();
  // Nothing tells that it goes on: a wrong end would come within this time.
  EXPECT_FALSE(read.wait_for(milliseconds(50))) << "the peer's GPU still has it";
  EXPECT_EQ(order("release"), "released");
  EXPECT_EQ(finish(read), OperationStatus::kCancelled);
}

TEST_F(Serving, HoldsTheMemoryThatItsOwnerWantsBack) {
  const Ranges target(On::kHost, kLayouts[1]);
  auto read = begin_held_read(target);
  EXPECT_EQ(order("cancel"), "busy");
  EXPECT_EQ(order("release"), "released");
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kCancelled);
  EXPECT_EQ(order("end"), "nothing");
}

TEST_F(Serving, EndsWithTheProcessThatServes) {
  const Ranges target(On::kHost, kLayouts[1]);
  auto read = begin_held_read(target);
  owner_.kill();
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST_F(Serving, EndsWithTheProcessThatIsServed) {
  for (const char* const verb : {"read", "write"}) {
    Child served("served");
    const std::string metadata = order(std::string(verb) + " gpu 1");
    order("hold");
    served.channel().send((*verb == 'r' ? "pull host 1 " : "give host 1 ") + metadata);
    EXPECT_EQ(order("wait"), "given");
    served.kill();
    EXPECT_EQ(order("release"), "released");
    EXPECT_NE(order("end").find("ended"), std::string::npos);
  }
}

TEST_F(Serving, OfAPeerThatIsStoppedEndsAtTheDeadline) {
  const Ranges target(On::kHost, kLayouts[1]);
  const RdmaMetadata metadata = ask("read gpu 1");
  owner_.stop();
  auto read = connector_.begin_read(metadata, target.descriptors(),
                                    {.timeout = milliseconds(30)});
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kTimedOut);
  target.fill(3);
  owner_.signal(SIGCONT);
  EXPECT_NE(order("end").find("the deadline passed"), std::string::npos);
  EXPECT_TRUE(target.has(3)) << "written to after the end";
}

TEST_F(Serving, OfAPeerThatIsGoneSaysSo) {
  const Ranges target(On::kHost, kLayouts[0]);
  const RdmaMetadata metadata = ask("read gpu 0");
  owner_.kill();
  auto read = connector_.begin_read(metadata, target.descriptors());
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST_F(Serving, OfMemoryThatIsExposedNoMoreIsCancelled) {
  const Ranges target(On::kHost, kLayouts[0]);
  for (int i = 0; i < 20; ++i) {
    const RdmaMetadata metadata = ask("read gpu 0 1");
    auto first = connector_.begin_read(metadata, target.descriptors());
    EXPECT_EQ(finish(first), OperationStatus::kComplete);
    auto late = connector_.begin_read(metadata, target.descriptors());
    EXPECT_EQ(kind_of([&] { (void)late.wait_for(kSoon); }), ErrorKind::kCancelled);
  }
}

TEST_F(Serving, OfOwnMemoryThatIsReadOnlySaysWhoseItIs) {
  constexpr std::size_t kPage = 4096;
  void* const page =
      ::mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  const RdmaMetadata metadata = ask("read gpu 0");
  const Descriptor whole(page, kPage);
  const std::vector<Descriptor> target{whole.slice(0, metadata.descriptors[0].size),
                                       whole.slice(1000, metadata.descriptors[1].size)};
  auto read = connector_.begin_read(metadata, target);
  const auto wait = [&] { (void)read.wait_for(kSoon); };
  EXPECT_EQ(kind_of(wait), ErrorKind::kInvalidArgument);
  expect_named(text_of(wait), "cuda.staged: memory of this process is not mapped");
  ::munmap(page, kPage);
}

TEST_F(Serving, IsNotOfferedWhereThePeersOptionsForbidIt) {
  const Child refuser("refuser");
  const Ranges target(On::kHost, kLayouts[0]);
  const auto metadata = RdmaMetadata::from_json(order(refuser, "read gpu 0"));
  const std::string text = text_of_read(metadata, target);
  expect_named(text, "cuda.staged: no CUDA driver");
  EXPECT_EQ(text.find("nor with the peer's help"), std::string::npos) << text;
}

TEST_F(Serving, IsRefusedWhereAStreamWaitsForTheEnd) {
  const Ranges target(On::kHost, kLayouts[0]);
  const std::string text = text_of_read_with_a_stream("read gpu 0", target);
  expect_named(text, "cuda.staged: no CUDA driver");
  expect_named(text, "nor with the peer's help: a stream waits for the end");
}

TEST_F(Serving, IsLeftAloneWhereTheOptionsForbidIt) {
  const Ranges target(On::kHost, kLayouts[0]);
  auto read = connector_.begin_read(ask("read gpu 0"), target.descriptors(),
                                    {.forbid = {"cuda.staged"}});
  expect_named(text_of([&] { (void)read.wait_for(kSoon); }),
               "cuda.staged: the options forbid it");
}

}  // namespace

namespace testing {

int run_role(std::string_view role, const Channel& test) {
  ConnectorOptions options = role == "served" ? without_gpus() : with_gpus();
  if (role == "refuser") options.forbid = {"cuda.staged"};
  Servant servant(options);
  while (true) test.send(servant.carry_out(test.receive_text()));
}

}  // namespace testing
}  // namespace nixl_connect
