// SPDX-License-Identifier: Apache-2.0
//
// Views between two processes, of which one dies, stands still, or loses the other.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <string>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "runtime/losing.h"
#include "support/child.h"

namespace nixl_connect {
namespace {

using testing::Buffer;
using testing::Channel;
using testing::Child;
using testing::finish;
using testing::kind_of;
using testing::kShortDrain;
using testing::kSoon;
using testing::with_short_drain;

constexpr std::size_t kSize = 8 << 20;
constexpr std::byte kContent{0x33};

// Roles of the second process.

// Exposes memory, cancels that at the first message and says whether it has ended; at
// the second it waits for the end.
int expose_role(const Channel& test) {
  Connector connector(with_short_drain());
  const Allocation memory = Connector::allocate(kSize);
  std::fill_n(memory.data(), kSize, kContent);
  auto readable = connector.create_readable(memory.descriptor(), {.readers = 2});
  test.send(readable.metadata().to_json());
  test.receive();
  readable.cancel();
  test.send(readable.wait_for(10 * kShortDrain) ? "ended" : "held");
  test.receive();
  test.send(readable.wait_for(kSoon) ? "ended" : "held");
  test.wait_for_hang_up();
  return 0;
}

int view_role(const Channel& test) {
  Connector connector(with_short_drain());
  auto view = connector.begin_view(RdmaMetadata::from_json(test.receive_text()));
  view.wait();
  test.send("open");
  test.wait_for_hang_up();
  return 0;
}

class ViewOfAnotherProcess : public ::testing::Test {
 protected:
  ViewOfAnotherProcess() { EXPECT_EQ(finish(view_), OperationStatus::kComplete); }

  void expect_content() {
    const auto bytes = view_.bytes();
    EXPECT_EQ(std::count(bytes.begin(), bytes.end(), kContent),
              static_cast<std::ptrdiff_t>(kSize));
  }
  // For the end of the view, before it ends its own operation.
  void expect_exposer_to_wait() {
    child_.channel().send("cancel");
    EXPECT_EQ(child_.channel().receive_text(), "held");
    EXPECT_TRUE(view_.is_revoked());
    expect_content();
    child_.channel().send("wait");
    view_.close();
    EXPECT_EQ(child_.channel().receive_text(), "ended");
  }
  void wait_for_recall() {
    std::promise<void> revoked;
    view_.on_revoked([&](OperationStatus) { revoked.set_value(); });
    EXPECT_EQ(revoked.get_future().wait_for(kSoon), std::future_status::ready);
    EXPECT_TRUE(view_.is_revoked());
  }
  void lose_peer() {
    testing::lose_peer(viewer_, view_.remote());
    wait_for_recall();
  }

  Child child_{"expose"};
  const RdmaMetadata metadata_ =
      RdmaMetadata::from_json(child_.channel().receive_text());
  Connector viewer_{with_short_drain()};
  ViewOperation view_ = viewer_.begin_view(metadata_);
};

TEST_F(ViewOfAnotherProcess, IsWaitedForByIt) {
  expect_content();
  expect_exposer_to_wait();
}

TEST_F(ViewOfAnotherProcess, StaysReadableWhenThatDies) {
  child_.kill();
  wait_for_recall();
  expect_content();
  EXPECT_EQ(view_.status(), OperationStatus::kComplete);
  view_.close();
  std::promise<OperationStatus> quiet;
  view_.on_quiet([&](OperationStatus status) { quiet.set_value(status); });
  EXPECT_EQ(quiet.get_future().get(), OperationStatus::kComplete);
}

TEST_F(ViewOfAnotherProcess, IsWaitedForThoughThisSideHasDroppedThatPeer) {
  lose_peer();
  expect_exposer_to_wait();
}

TEST_F(ViewOfAnotherProcess, IsWaitedForThoughThisSideHasConnectedAnew) {
  lose_peer();
  Buffer target(kSize);
  auto read = viewer_.begin_read(metadata_, target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  expect_exposer_to_wait();
}

TEST(ViewerThatDies, EndsTheReadableAtOnce) {
  Connector connector(with_short_drain());
  const Allocation memory = Connector::allocate(kSize);
  auto readable = connector.create_readable(memory.descriptor());
  Child child("view");
  child.channel().send(readable.metadata().to_json());
  ASSERT_EQ(child.channel().receive_text(), "open");
  readable.cancel();
  EXPECT_FALSE(readable.wait_for(10 * kShortDrain));
  child.kill();
  EXPECT_TRUE(readable.wait_for(std::chrono::seconds(1)));
  EXPECT_EQ(readable.status(), OperationStatus::kCancelled);
}

TEST(ViewerThatDies, IsTheReadablesFailure) {
  Connector connector(with_short_drain());
  const Allocation memory = Connector::allocate(kSize);
  auto readable = connector.create_readable(memory.descriptor());
  Child child("view");
  child.channel().send(readable.metadata().to_json());
  ASSERT_EQ(child.channel().receive_text(), "open");
  child.kill();
  EXPECT_EQ(kind_of([&] { (void)readable.wait_for(std::chrono::seconds(1)); }),
            ErrorKind::kDisconnected);
}

}  // namespace

int testing::run_role(std::string_view role, const Channel& test) {
  return role == "view" ? view_role(test) : expose_role(test);
}

}  // namespace nixl_connect
