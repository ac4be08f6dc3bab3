// SPDX-License-Identifier: Apache-2.0
//
// A peer on this host that this process gives up, though it lives: its memory accesses
// are waited for as long as it has any, and nothing else of it is.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/open_files.h"
#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "runtime/losing.h"
#include "support/child.h"

namespace nixl_connect {
namespace {

using std::chrono::milliseconds;
using testing::Buffer;
using testing::Channel;
using testing::Child;
using testing::finish;
using testing::kind_of;
using testing::kSoon;
using testing::with_short_drain;

constexpr milliseconds kAWhile{200};

// Exposes memory, and looks at that of others.
int companion_role(const Channel& test) {
  Connector connector(with_short_drain());
  const Allocation memory = Connector::allocate(4096);
  std::vector<std::byte> plain(4096);
  const auto readable =
      connector.create_readable(memory.descriptor(), {.stays_open = true});
  const auto writable =
      connector.create_writable(Descriptor(plain.data(), 4096), {.readers = 1'000'000});
  std::vector<ViewOperation> views;
  test.send(readable.metadata().to_json());
  test.send(writable.metadata().to_json());
  while (true) {
    const std::string order = test.receive_text();
    if (order == "bye") return 0;
    if (order == "is revoked") {
      test.send(views.front().is_revoked() ? "yes" : "no");
    } else if (order == "look") {
      test.send(std::to_string(std::to_integer<int>(views.front().bytes()[0])));
    } else if (order == "close the first") {
      views.erase(views.begin());
      test.send("closed");
    } else {
      views.push_back(connector.begin_view(RdmaMetadata::from_json(order)));
      test.send(std::string(to_string(finish(views.back()))));
    }
  }
}

// Gives the exposing side up in the middle of writes.
int hasty_role(const Channel& test) {
  ConnectorOptions options = testing::across_processes();
  options.drain_timeout = milliseconds(0);
  Connector connector(options);
  std::vector<std::byte> source(64 << 20, std::byte{0x77});
  OperationOptions hasty{.timeout = milliseconds(15)};
  hasty.require = "ucx";
  for (std::string order = test.receive_text(); order != "bye";
       order = test.receive_text()) {
    auto write = connector.begin_write(Descriptor(source.data(), source.size()),
                                       RdmaMetadata::from_json(order), hasty);
    while (!is_terminal(write.status())) std::this_thread::yield();
    test.send("over");
  }
  return 0;
}

class LostPeer : public ::testing::Test {
 protected:
  static std::string ask(const Child& child, const std::string& order) {
    child.channel().send(order);
    return child.channel().receive_text();
  }
  static std::string view_of(const Child& child, const ReadableOperation& readable) {
    return ask(child, readable.metadata().to_json());
  }

  void lose(const std::string& agent) { testing::lose_peer(connector_, agent); }

  Child child_{"companion"};
  const RdmaMetadata theirs_ = RdmaMetadata::from_json(child_.channel().receive_text());
  const RdmaMetadata writable_ =
      RdmaMetadata::from_json(child_.channel().receive_text());
  Connector connector_{with_short_drain()};
  Allocation memory_ = Connector::allocate(4096);
};

TEST_F(LostPeer, ThatIsMetAnewIsANeighbourAgain) {
  Buffer target(4096);
  auto read = connector_.begin_read(theirs_, target.descriptor());
  finish(read);
  lose(read.remote());
  auto view = connector_.begin_view(theirs_);
  EXPECT_EQ(finish(view), OperationStatus::kComplete);
}

TEST_F(LostPeer, IsToldToCloseItsViewsAndWaitedFor) {
  auto readable = connector_.create_readable(memory_.descriptor());
  auto ours = connector_.begin_view(theirs_);
  finish(ours);
  EXPECT_EQ(view_of(child_, readable), "DONE");
  lose(ours.remote());
  EXPECT_FALSE(readable.wait_for(kAWhile));
  while (ask(child_, "is revoked") == "no") {
  }
  ask(child_, "close the first");
  EXPECT_EQ(kind_of([&] { (void)readable.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST_F(LostPeer, IsWaitedForThoughItsFirstViewHasEnded) {
  auto readable =
      connector_.create_readable(memory_.descriptor(), {.stays_open = true});
  auto ours = connector_.begin_view(theirs_);  // keeps the channel open
  finish(ours);
  EXPECT_EQ(view_of(child_, readable), "DONE");
  ask(child_, "close the first");  // a success, so that no loss ends it
  finish(readable);
  EXPECT_EQ(view_of(child_, readable), "DONE");
  lose(ours.remote());
  EXPECT_EQ(view_of(child_, readable), "DONE") << "under the Grant of the first";
  ask(child_, "close the first");
  readable.cancel();
  auto read = connector_.begin_view(theirs_);  // which is heard behind that
  finish(read);
  EXPECT_FALSE(readable.is_quiet());
  ask(child_, "close the first");
  while (!readable.is_quiet()) std::this_thread::yield();
}

TEST_F(LostPeer, ThatHoldsNothingTakesNoDescriptors) {
  OperationOptions hasty{.timeout = milliseconds(5)};
  hasty.require = "ucx";
  Buffer target(4096);
  {
    auto read = connector_.begin_read(theirs_, target.descriptor());
    finish(read);
  }
  child_.stop();
  const std::size_t before = testing::count_open_files();
  constexpr int kTimes = 20;
  for (int i = 0; i < kTimes; ++i) {
    auto write = connector_.begin_write(target.descriptor(), writable_, hasty);
    EXPECT_EQ(kind_of([&] { (void)write.wait_for(kSoon); }), ErrorKind::kTimedOut);
    lose(write.remote());
  }
  EXPECT_LT(testing::count_open_files(), before + kTimes);
}

TEST_F(LostPeer, ThatGoesOnViewingKeepsNoThreadBusy) {
  auto readable = connector_.create_readable(memory_.descriptor());
  EXPECT_EQ(view_of(child_, readable), "DONE");
  Buffer source(64);
  RdmaMetadata small = writable_;
  small.descriptors[0].size = 64;
  child_.stop();
  constexpr std::size_t kMany = 3000;  // more than its socket has room for
  std::vector<WriteOperation> writes;
  writes.reserve(kMany);
  while (writes.size() < kMany)
    writes.push_back(connector_.begin_write(source.descriptor(), small));
  EXPECT_FALSE(writes.back().wait_for(milliseconds(50)));
  lose(writes.back().remote());
  child_.signal(SIGCONT);
  while (ask(child_, "is revoked") == "no") {
  }
  const auto processor_time = [] {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  const auto before = processor_time();
  EXPECT_FALSE(readable.wait_for(kAWhile));
  EXPECT_LT(processor_time() - before, kAWhile / 4);
}

TEST_F(LostPeer, ThatViewsLeavesNothingButItsMemoryToAClosedConnector) {
  const std::size_t before = testing::count_open_files();
  std::optional<Connector> closed(with_short_drain());
  std::vector<std::byte> plain(4096);
  memory_.data()[0] = std::byte{5};
  RdmaMetadata writable;
  {
    auto readable = closed->create_readable(memory_.descriptor());
    const auto other = closed->create_writable(Descriptor(plain.data(), 4096));
    writable = other.metadata();
    EXPECT_EQ(view_of(child_, readable), "DONE");
    closed.reset();
    EXPECT_EQ(kind_of([&] { (void)readable.wait_for(kSoon); }), ErrorKind::kInternal);
  }
  memory_ = Connector::allocate(4096);  // in place of the old one
  EXPECT_EQ(ask(child_, "look"), "5");
  EXPECT_LT(testing::count_open_files(), before + 8);
  Buffer source(4096);
  auto write = connector_.begin_write(source.descriptor(), writable);
  EXPECT_EQ(kind_of([&] { (void)write.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST(LostExposer, IsNotToldThatAPutIsOverBeforeItIs) {
  Child writer("hasty", {"UCX_TLS=tcp,cma,self"});
  ::setenv("UCX_TLS", "tcp,cma,self", 1);
  Connector connector(with_short_drain());
  ::unsetenv("UCX_TLS");
  std::vector<std::byte> target(64 << 20);
  for (int i = 0; i < 5; ++i) {
    auto writable = connector.create_writable(Descriptor(target.data(), target.size()));
    writer.channel().send(writable.metadata().to_json());
    while (!is_terminal(writable.status())) std::this_thread::yield();
    std::fill(target.begin(), target.end(), std::byte{0x22});
    EXPECT_EQ(writer.channel().receive_text(), "over");
    EXPECT_EQ(std::count(target.begin(), target.end(), std::byte{0x22}),
              static_cast<std::ptrdiff_t>(target.size()))
        << "written to after the end";
  }
  writer.channel().send("bye");
}

}  // namespace

namespace testing {

int run_role(std::string_view role, const Channel& test) {
  return role == "hasty" ? hasty_role(test) : companion_role(test);
}

}  // namespace testing
}  // namespace nixl_connect
