// SPDX-License-Identifier: Apache-2.0
//
// Operations with memory of the host on one side and of a GPU on the other, by the
// stand-in for CUDA's driver.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <tuple>

#include "nixl_connect/connector.h"
#include "paths/cuda/stand_in/control.h"
#include "runtime/buffers.h"
#include "runtime/gpu_ranges.h"
#include "runtime/gpu_servant.h"
#include "support/child.h"
#include "support/held_exit.h"

namespace nixl_connect {

namespace {

namespace stand_in = paths::cuda::stand_in;
using std::chrono::milliseconds;
using testing::Channel;
using testing::Child;
using testing::expect_named;
using testing::finish;
using testing::kind_of;
using testing::kLayouts;
using testing::kSoon;
using testing::Layout;
using testing::name_of;
using testing::On;
using testing::other;
using testing::Ranges;
using testing::Servant;
using testing::text_of;
using testing::with_gpus;
using testing::WithServant;

class Mix : public WithServant {};

// By where the local memory is and how it lies.
class MixOf : public Mix, public ::testing::WithParamInterface<std::tuple<On, int>> {
 protected:
  On local() const { return std::get<0>(GetParam()); }
  std::size_t number() const {
    return static_cast<std::size_t>(std::get<1>(GetParam()));
  }
  Layout layout() const { return kLayouts[number()]; }
};

INSTANTIATE_TEST_SUITE_P(, MixOf,
                         ::testing::Combine(::testing::Values(On::kGpu, On::kHost),
                                            ::testing::Values(0, 1, 2)),
                         [](const auto& each) {
                           return "With" +
                                  std::string(std::get<0>(each.param) == On::kGpu
                                                  ? "Gpu"
                                                  : "Host") +
                                  "Layout" + std::to_string(std::get<1>(each.param));
                         });

TEST_P(MixOf, IsReadOfAnotherProcess) {
  const Ranges target(local(), layout());
  const RdmaMetadata metadata = ask("read", other(local()), number());
  auto read = connector_.begin_read(metadata, target.descriptors());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "cuda.staged");
  EXPECT_EQ(read.bytes_transferred(), target.bytes());
  EXPECT_TRUE(target.has(Servant::kRead));
}

TEST_P(MixOf, IsWrittenToAnotherProcess) {
  const Ranges source(local(), layout());
  source.fill(Servant::kWritten);
  const RdmaMetadata metadata = ask("write", other(local()), number());
  auto write = connector_.begin_write(source.descriptors(), metadata);
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  EXPECT_EQ(write.path(), "cuda.staged");
  EXPECT_EQ(order("check"), "right");
}

TEST_P(MixOf, IsMovedWithinThisProcess) {
  const Ranges here(local(), layout());
  const Ranges there(other(local()), layout(), 1);
  Connector another(with_gpus());
  if (local() == On::kHost)  // it is for the GPU that has the memory
    stand_in::poison(0, paths::cuda::kCuIllegalAddress);
  for (Connector* const exposer : {&another, &connector_}) {
    here.fill(3);
    auto writable = exposer->create_writable(there.descriptors());
    auto write = connector_.begin_write(here.descriptors(), writable.metadata());
    EXPECT_EQ(finish(write), OperationStatus::kComplete);
    EXPECT_EQ(finish(writable), OperationStatus::kComplete);
    EXPECT_EQ(write.path(), "cuda.staged");
    EXPECT_TRUE(there.has(3));
    there.fill(4);
    auto readable = exposer->create_readable(there.descriptors());
    auto read = connector_.begin_read(readable.metadata(), here.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "cuda.staged");
    EXPECT_TRUE(here.has(4));
  }
}

TEST_P(MixOf, IsQuietWhenACancelledOperationHasEnded) {
  const Ranges target(local(), layout());
  auto read = begin_held_read(target, other(local()), number());
  read.cancel();
  EXPECT_FALSE(read.wait_for(milliseconds(50))) << "the GPU still has it";
  stand_in::release_streams();
  EXPECT_EQ(finish(read), OperationStatus::kCancelled);
}

TEST_P(MixOf, OfAProcessThatDiesEndsWhatIsReadOfIt) {
  const Ranges target(local(), layout());
  auto read = begin_held_read(target, other(local()), number());
  kill_owner(target);
  stand_in::release_streams();
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST_F(Mix, PinsMemoryOfThePeerOnceAndLetsItGoWithIt) {
  const Ranges target(On::kGpu, kLayouts[1]);
  // Before it looks for what is given back; and the stream's word and lists of pages.
  const RdmaMetadata metadata = ask("read", On::kHost, 1);
  {
    auto read = connector_.begin_read(metadata, target.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
  }
  const std::size_t pinned = stand_in::registrations();
  const unsigned calls = stand_in::calls("cuMemHostRegister");
  for (int i = 0; i < 3; ++i) {
    const Ranges again(On::kGpu, kLayouts[1]);
    auto read = connector_.begin_read(ask("read", On::kHost, 1), again.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_TRUE(again.has(Servant::kRead));
    EXPECT_EQ(stand_in::calls("cuMemHostRegister"),
              calls + 1 + static_cast<unsigned>(i))
        << "the owner has new memory each time";
    EXPECT_EQ(stand_in::registrations(), pinned) << "and has given back the old";
  }
  const unsigned unpinned = stand_in::calls("cuMemHostUnregister");
  owner_.kill();
  stand_in::wait_for_calls("cuMemHostUnregister", unpinned + 1);
}

TEST_F(Mix, PinsOwnMemoryOnceAndLetsItGoWhenItGoes) {
  std::optional<Ranges> target(std::in_place, On::kHost, kLayouts[1]);
  unsigned calls = 0;
  for (int i = 0; i < 3; ++i) {
    auto read = connector_.begin_read(ask("read", On::kGpu, 1), target->descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_TRUE(target->has(Servant::kRead));
    target->fill(0);
    if (i == 0) calls = stand_in::calls("cuMemHostRegister");
    EXPECT_EQ(stand_in::calls("cuMemHostRegister"), calls);
  }
  EXPECT_EQ(stand_in::calls("cuMemHostUnregister"), 0U);
  target.reset();
  stand_in::wait_for_calls("cuMemHostUnregister", 1);
}

TEST_F(Mix, ReadOfMemoryThatIsFreedMeanwhileIsVoid) {
  for (const On remote : {On::kHost, On::kGpu}) {
    const Ranges target(other(remote), kLayouts[1]);
    auto read = begin_held_read(target, remote, 1);
    EXPECT_EQ(order("free"), "freed");
    stand_in::release_streams();
    EXPECT_NE(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kInternal);
    EXPECT_EQ(read.status(), OperationStatus::kErrored);
    stand_in::reset();
  }
}

// Whose GPU is let go last, behind the files.
TEST_F(Mix, IsItsWritersUntilTheProcessIsGone) {
  const Ranges target(On::kHost, kLayouts[1]);
  auto writable = connector_.create_writable(target.descriptors());
  ASSERT_EQ(order("push gpu 1 " + writable.metadata().to_json()), "held");
  testing::HeldExit exit(owner_.pid());
  if (!exit.does_hold()) GTEST_SKIP() << "this process may not trace its child";
  owner_.signal(SIGKILL);
  EXPECT_FALSE(writable.wait_for(milliseconds(200))) << "the GPU may still have it";
  exit.let_go();
  EXPECT_EQ(kind_of([&] { (void)writable.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST_F(Mix, IsMovedThoughSomeOfItIsEmpty) {
  const Ranges target(On::kHost, kLayouts[1]);
  const Ranges source(On::kGpu, kLayouts[1]);
  source.fill(5);
  auto sources = source.descriptors();
  auto targets = target.descriptors();
  sources.insert(sources.begin() + 3, source.descriptor(0, 0));
  targets.insert(targets.begin() + 3, target.descriptor(0, 0));
  Connector another(with_gpus());
  auto readable = another.create_readable(sources);
  auto read = connector_.begin_read(readable.metadata(), targets);
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_TRUE(target.has(5));
}

TEST_F(Mix, IsLeftAloneWhereTheOptionsForbidIt) {
  const Ranges target(On::kGpu, kLayouts[0]);
  for (const char* const name : {"cuda.staged", "host"}) {
    auto read = connector_.begin_read(ask("read", On::kHost, 0), target.descriptors(),
                                      {.forbid = {name}});
    expect_named(text_of([&] { (void)read.wait_for(kSoon); }),
                 "cuda.staged: the options forbid it");
  }
}

// Whose file it hands over on the local channel.
TEST_F(Mix, IsReadOfAProcessThatNobodyCanLookInto) {
  const Child initiator("owner");
  const auto ask_initiator = [&](const std::string& text) {
    initiator.channel().send(text);
    return initiator.channel().receive_text();
  };
  if (order("hide") != "hidden" || ask_initiator("hide") != "hidden")
    GTEST_SKIP() << "this user cannot hide a process";
  EXPECT_EQ(ask_initiator("pull gpu 1 " + order("read host 1")), "cuda.staged");
}

}  // namespace

namespace testing {

int run_role(std::string_view, const Channel& test) {
  Servant servant;
  while (true) test.send(servant.carry_out(test.receive_text()));
}

}  // namespace testing
}  // namespace nixl_connect
