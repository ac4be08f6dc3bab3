// SPDX-License-Identifier: Apache-2.0
//
// What the engine does before either side is asked: lost peers, the clock, the list of
// commands.
#include "core/engine.h"

#include <gtest/gtest.h>

#include "summary.h"

namespace nixl_connect::core {
namespace {

constexpr PeerId kPeer = 7;
constexpr Time kNow{1000};
const Failure kLost{ErrorKind::kDisconnected, "lost"};

Transfer read(OperationId operation, Time deadline = kNever) {
  return {operation, kPeer, wire::AccessKind::kRead, "key", LeaseKey{3, 9}, deadline};
}

TEST(Engine, EndsABeginOnALostPeerAtOnce) {
  Engine engine;
  engine.peer_lost(kPeer, kLost, kNow);
  engine.begin(read(1), kNow);
  EXPECT_EQ(summary(engine), "finish ERR disconnected");
}

TEST(Engine, GrantsNothingToALostPeer) {
  Engine engine;
  engine.expose({1, OperationKind::kWrite, "key", 3, 9, 1}, kNow);
  engine.peer_lost(kPeer, kLost, kNow);
  engine.message_arrived(kPeer, wire::Attach{5, 3, 9, wire::AccessKind::kWrite}, kNow);
  EXPECT_EQ(summary(engine), "revoke 5 to 7");
  EXPECT_FALSE(engine.is_held_by(kPeer));
}

TEST(Engine, WaitsForALostWriterUntilItHasLeft) {
  Engine engine;
  engine.expose({1, OperationKind::kWrite, "key", 3, 9, 1}, kNow);
  engine.message_arrived(kPeer, wire::Attach{5, 3, 9, wire::AccessKind::kWrite}, kNow);
  (void)engine.take_commands();
  engine.peer_lost(kPeer, kLost, kNow);
  EXPECT_EQ(summary(engine), "end lease, revoke 5 to 7");
  EXPECT_TRUE(engine.is_held_by(kPeer));
  engine.tick(kNow + 2 * Settings().drain_timeout);
  EXPECT_EQ(summary(engine), "");
  engine.peer_left(kPeer);
  EXPECT_EQ(summary(engine), "finish ERR disconnected");
  EXPECT_FALSE(engine.is_held_by(kPeer));
}

TEST(Engine, WaitsForWhatALostWriterHasBegunUnderItsGrant) {
  Engine engine;
  engine.expose({1, OperationKind::kWrite, "key", 3, 9, 1}, kNow);
  engine.message_arrived(kPeer, wire::Attach{5, 3, 9, wire::AccessKind::kWrite}, kNow);
  engine.peer_lost(kPeer, kLost, kNow);
  (void)summary(engine);
  engine.message_arrived(kPeer, wire::Attach{6, 3, 9, wire::AccessKind::kWrite}, kNow);
  EXPECT_EQ(summary(engine), "revoke 6 to 7");
  const auto done = [](OperationId operation) {
    return wire::Done{operation, 3, wire::DoneStatus::kComplete, 64, "", "tcp"};
  };
  engine.message_arrived(kPeer, done(5), kNow);
  EXPECT_EQ(summary(engine), "");
  engine.message_arrived(kPeer, done(6), kNow);
  EXPECT_EQ(summary(engine), "finish ERR disconnected");
}

TEST(Engine, HearsThatALostWriterHasDone) {
  Engine engine;
  engine.expose({1, OperationKind::kWrite, "key", 3, 9, 1}, kNow);
  engine.message_arrived(kPeer, wire::Attach{5, 3, 9, wire::AccessKind::kWrite}, kNow);
  engine.peer_lost(kPeer, kLost, kNow);
  (void)summary(engine);
  engine.message_arrived(
      kPeer, wire::Done{5, 3, wire::DoneStatus::kComplete, 64, "", "tcp"}, kNow);
  EXPECT_EQ(summary(engine), "finish ERR disconnected");
}

TEST(Engine, TicksEveryOperationThatIsDue) {
  Engine engine;
  engine.expose({1, OperationKind::kRead, "key", 3, 9, 1, kNow + Time(2)}, kNow);
  engine.begin(read(2, kNow + Time(1)), kNow);
  EXPECT_EQ(summary(engine), "attach 2 to 7, start");
  EXPECT_EQ(engine.next_deadline(), kNow + Time(1));
  engine.tick(kNow);
  EXPECT_EQ(summary(engine), "");
  engine.tick(kNow + Time(2));
  EXPECT_EQ(summary(engine), "stop, end lease, finish ERR timed out");
}

TEST(Engine, CancelOfAnUnknownOperationDoesNothing) {
  Engine engine;
  engine.cancel(1, kNow);
  EXPECT_EQ(summary(engine), "");
}

TEST(Engine, KeepsTheCallersStorageForLaterCommands) {
  Engine engine;
  std::vector<Command> commands{DropPeer{1}};
  commands.reserve(100);
  engine.take_commands(commands);
  EXPECT_TRUE(commands.empty());
  engine.begin(read(1), kNow);
  engine.take_commands(commands);
  EXPECT_EQ(commands.size(), 2U);
  EXPECT_GE(commands.capacity(), 100U);
}

}  // namespace
}  // namespace nixl_connect::core
