// SPDX-License-Identifier: Apache-2.0
//
// Exposed memory: who may attach, what ends an exposure, and what it waits for.
#include <gtest/gtest.h>

#include <string>

#include "core/engine.h"
#include "summary.h"

namespace nixl_connect::core {
namespace {

using wire::AccessKind;

constexpr PeerId kPeer = 7;
constexpr PeerId kOther = 8;
constexpr OperationId kOperation = 1;
constexpr LeaseId kLease = 3;
constexpr std::uint64_t kToken = 9;
constexpr Time kNow{1000};
constexpr Time kDrained = kNow + Settings().drain_timeout;
const Failure kLost{ErrorKind::kDisconnected, "lost"};

class ExposingSide : public testing::Test {
 protected:
  void expose(OperationKind kind, std::uint32_t readers = 1, Time deadline = kNever) {
    engine_.expose({kOperation, kind, "key", kLease, kToken, readers, deadline}, kNow);
  }
  void attach(PeerId peer, AccessKind access, std::uint64_t token = kToken) {
    engine_.message_arrived(peer, wire::Attach{5, kLease, token, access}, kNow);
  }
  void done(PeerId peer, wire::DoneStatus status) {
    engine_.message_arrived(peer, wire::Done{5, kLease, status, 64, "why", "tcp"},
                            kNow);
  }
  void lose(PeerId peer, Time now) {
    engine_.peer_lost(peer, kLost, now);
    engine_.peer_left(peer);
  }
  void expose_to_two(OperationKind kind, std::uint32_t readers = 1) {
    expose(kind, readers);
    const bool is_write = kind == OperationKind::kWrite;
    attach(kPeer, is_write ? AccessKind::kWrite : AccessKind::kRead);
    attach(kOther, is_write ? AccessKind::kWrite : AccessKind::kRead);
    (void)engine_.take_commands();
  }

  Engine engine_;
};

TEST_F(ExposingSide, CompletesAfterAsManySuccessesAsAnnounced) {
  expose_to_two(OperationKind::kRead, 2);
  done(kPeer, wire::DoneStatus::kComplete);
  EXPECT_EQ(summary(engine_), "progress 64");
  done(kOther, wire::DoneStatus::kComplete);
  EXPECT_EQ(summary(engine_), "progress 64, end lease, finish DONE");
  EXPECT_EQ(engine_.live_operations(), 0U);
}

TEST_F(ExposingSide, ThatStaysOpenFailsByTheLastPeerOnly) {
  engine_.expose(
      {kOperation, OperationKind::kRead, "key", kLease, kToken, 1, kNever, true}, kNow);
  attach(kPeer, AccessKind::kRead);
  attach(kOther, AccessKind::kRead);
  (void)engine_.take_commands();
  done(kPeer, wire::DoneStatus::kCancelled);
  EXPECT_EQ(summary(engine_), "");
  attach(kPeer, AccessKind::kRead);
  lose(kOther, kNow);
  EXPECT_EQ(summary(engine_), "");
  done(kPeer, wire::DoneStatus::kFailed);
  EXPECT_EQ(summary(engine_), "end lease, finish ERR cancelled");
}

TEST_F(ExposingSide, ThatStaysOpenSucceedsOnceAndEndsByOurCancelOnly) {
  engine_.expose(
      {kOperation, OperationKind::kRead, "key", kLease, kToken, 1, kDrained, true},
      kNow);
  attach(kPeer, AccessKind::kRead);
  done(kPeer, wire::DoneStatus::kComplete);
  EXPECT_EQ(summary(engine_), "progress 0, progress 64, succeed");
  EXPECT_EQ(engine_.next_deadline(), kNever);
  for (const auto status : {wire::DoneStatus::kComplete, wire::DoneStatus::kCancelled,
                            wire::DoneStatus::kFailed}) {
    attach(kOther, AccessKind::kRead);
    done(kOther, status);
  }
  attach(kPeer, AccessKind::kRead);
  engine_.notification_arrived("key", kNow);
  lose(kOther, kNow);
  EXPECT_EQ(summary(engine_), "");
  engine_.cancel(kOperation, kNow);
  EXPECT_EQ(summary(engine_), "end lease, revoke 5 to 7");
  done(kPeer, wire::DoneStatus::kFailed);
  EXPECT_EQ(summary(engine_), "finish DONE");
  EXPECT_EQ(engine_.live_operations(), 0U);
}

TEST_F(ExposingSide, ThatStaysOpenEndsLikeAnyOtherBeforeItsSuccess) {
  const Exposure exposure{
      kOperation, OperationKind::kRead, "key", kLease, kToken, 1, kDrained, true};
  engine_.expose(exposure, kNow);
  engine_.tick(kDrained);
  EXPECT_EQ(summary(engine_), "end lease, finish ERR timed out");
  engine_.expose(exposure, kNow);
  attach(kPeer, AccessKind::kRead);
  done(kPeer, wire::DoneStatus::kFailed);
  EXPECT_EQ(summary(engine_), "progress 0, end lease, finish ERR cancelled");
}

TEST_F(ExposingSide, ReportsTheFirstAttachAndGrantsWritesOnly) {
  expose(OperationKind::kWrite);
  attach(kPeer, AccessKind::kWrite);
  EXPECT_EQ(summary(engine_), "grant 5 to 7, progress 0");
  attach(kOther, AccessKind::kWrite);
  EXPECT_EQ(summary(engine_), "grant 5 to 8");
  Engine readable;
  readable.expose({1, OperationKind::kRead, "key", kLease, kToken, 1}, kNow);
  readable.message_arrived(kPeer, wire::Attach{5, kLease, kToken, AccessKind::kRead},
                           kNow);
  EXPECT_EQ(summary(readable), "progress 0");
}

TEST_F(ExposingSide, CountsARepeatedAttachOnce) {
  expose(OperationKind::kRead);
  attach(kPeer, AccessKind::kRead);
  attach(kPeer, AccessKind::kRead);
  done(kPeer, wire::DoneStatus::kComplete);
  EXPECT_EQ(summary(engine_), "progress 0, progress 64, end lease, finish DONE");
}

TEST_F(ExposingSide, RefusesWhoDoesNotFit) {
  attach(kPeer, AccessKind::kRead);
  EXPECT_EQ(summary(engine_), "revoke 5 to 7") << "unknown lease";
  expose(OperationKind::kRead);
  attach(kPeer, AccessKind::kRead, kToken + 1);
  EXPECT_EQ(summary(engine_), "revoke 5 to 7") << "wrong token";
  attach(kPeer, AccessKind::kWrite);
  EXPECT_EQ(summary(engine_), "revoke 5 to 7") << "write to readable memory";
  engine_.cancel(kOperation, kNow);
  EXPECT_EQ(summary(engine_), "end lease, finish STOP") << "nobody was attached";
}

TEST_F(ExposingSide, RefusesReadAndViewOfWritableMemory) {
  expose(OperationKind::kWrite);
  attach(kPeer, AccessKind::kRead);
  attach(kPeer, AccessKind::kView);
  EXPECT_EQ(summary(engine_), "revoke 5 to 7, revoke 5 to 7");
}

TEST_F(ExposingSide, GrantsAViewAndCountsItsEndAsASuccess) {
  expose(OperationKind::kRead);
  attach(kPeer, AccessKind::kView);
  EXPECT_EQ(summary(engine_), "grant 5 to 7, progress 0");
  done(kPeer, wire::DoneStatus::kComplete);
  EXPECT_EQ(summary(engine_), "progress 64, end lease, finish DONE");
}

TEST_F(ExposingSide, ReadableWaitsForAViewWithoutLimitAndForReadersNoLonger) {
  expose(OperationKind::kRead);
  attach(kPeer, AccessKind::kView);
  attach(kOther, AccessKind::kRead);
  (void)engine_.take_commands();
  engine_.cancel(kOperation, kNow);
  EXPECT_EQ(summary(engine_), "end lease, revoke 5 to 7, revoke 5 to 8");
  engine_.tick(kDrained);
  EXPECT_EQ(summary(engine_), "");
  EXPECT_EQ(engine_.next_deadline(), kNever);
  done(kPeer, wire::DoneStatus::kComplete);
  EXPECT_EQ(summary(engine_), "finish STOP") << "without the late reader";
}

TEST_F(ExposingSide, SuccessOfAReaderRecallsAViewPastTheDrainTimeoutAndWaitsForIt) {
  expose(OperationKind::kRead);
  attach(kPeer, AccessKind::kView);
  attach(kOther, AccessKind::kRead);
  (void)engine_.take_commands();
  done(kOther, wire::DoneStatus::kComplete);
  EXPECT_EQ(summary(engine_), "progress 64");
  engine_.tick(kDrained);
  EXPECT_EQ(summary(engine_), "end lease, revoke 5 to 7");
  lose(kPeer, kDrained);
  EXPECT_EQ(summary(engine_), "finish DONE");
}

TEST_F(ExposingSide, WaitsForAViewThatAnAttachedViewerHasBegunMeanwhile) {
  expose(OperationKind::kRead);
  attach(kPeer, AccessKind::kView);
  attach(kOther, AccessKind::kRead);
  engine_.cancel(kOperation, kNow);
  (void)engine_.take_commands();
  for (const PeerId peer : {kPeer, kOther})
    engine_.message_arrived(peer, wire::Attach{6, kLease, kToken, AccessKind::kView},
                            kNow);
  EXPECT_EQ(summary(engine_), "revoke 6 to 7, revoke 6 to 8");
  done(kPeer, wire::DoneStatus::kComplete);
  done(kOther, wire::DoneStatus::kFailed);
  EXPECT_EQ(summary(engine_), "");
  engine_.message_arrived(
      kPeer, wire::Done{6, kLease, wire::DoneStatus::kComplete, 0, "", ""}, kNow);
  EXPECT_EQ(summary(engine_), "finish STOP");
}

TEST_F(ExposingSide, RefusesAttachOnceItsOutcomeIsDecided) {
  expose_to_two(OperationKind::kRead);
  done(kPeer, wire::DoneStatus::kComplete);
  (void)engine_.take_commands();
  engine_.message_arrived(kPeer, wire::Attach{6, kLease, kToken, AccessKind::kRead},
                          kNow);
  EXPECT_EQ(summary(engine_), "revoke 6 to 7");
}

TEST_F(ExposingSide, WaitsForAWriteThatAnAttachedWriterHasBegunMeanwhile) {
  expose(OperationKind::kWrite);
  attach(kPeer, AccessKind::kWrite);
  engine_.cancel(kOperation, kNow);
  EXPECT_EQ(summary(engine_), "grant 5 to 7, progress 0, end lease, revoke 5 to 7");
  engine_.message_arrived(kPeer, wire::Attach{6, kLease, kToken, AccessKind::kWrite},
                          kNow);
  EXPECT_EQ(summary(engine_), "revoke 6 to 7");
  done(kPeer, wire::DoneStatus::kCancelled);
  EXPECT_EQ(summary(engine_), "");
  engine_.message_arrived(
      kPeer, wire::Done{6, kLease, wire::DoneStatus::kFailed, 0, "", ""}, kNow);
  EXPECT_EQ(summary(engine_), "finish STOP");
}

TEST_F(ExposingSide, HearsBeforeItsEndOfAWriteThatHasBegunEarly) {
  engine_.expose({2, OperationKind::kWrite, "other", kLease + 1, kToken, 1}, kNow);
  engine_.message_arrived(
      kPeer, wire::Attach{4, kLease + 1, kToken, AccessKind::kWrite}, kNow);
  (void)engine_.take_commands();
  expose(OperationKind::kWrite);
  engine_.cancel(kOperation, kNow);
  const auto commands = engine_.take_commands();
  ASSERT_EQ(commands.size(), 1U);
  EXPECT_TRUE(std::get<EndLease>(commands[0]).is_answered);
  attach(kOther, AccessKind::kWrite);
  EXPECT_EQ(summary(engine_), "revoke 5 to 8") << "which has had no Grant";
  attach(kPeer, AccessKind::kWrite);
  EXPECT_EQ(summary(engine_), "revoke 5 to 7");
  engine_.lease_ended(kLease);
  EXPECT_EQ(summary(engine_), "");
  done(kPeer, wire::DoneStatus::kComplete);
  EXPECT_EQ(summary(engine_), "finish STOP");
}

TEST_F(ExposingSide, IsLostWithAPeerThatBeganEarlyBeforeItHeardOfItsLoss) {
  expose(OperationKind::kWrite);
  attach(kPeer, AccessKind::kWrite);
  engine_.expose({2, OperationKind::kWrite, "other key", 4, kToken, 1, kNever}, kNow);
  engine_.peer_lost(kPeer, kLost, kNow);
  (void)engine_.take_commands();
  engine_.message_arrived(kPeer, wire::Attach{6, 4, kToken, AccessKind::kWrite}, kNow);
  EXPECT_EQ(summary(engine_), "end lease, revoke 6 to 7");
  engine_.lease_ended(kLease);
  engine_.lease_ended(4);
  EXPECT_EQ(summary(engine_), "");
  engine_.peer_left(kPeer);
  EXPECT_EQ(engine_.live_operations(), 0U);
}

TEST_F(ExposingSide, WaitsForNoNewsWhereNobodyMayBeginEarly) {
  expose(OperationKind::kWrite);
  engine_.cancel(kOperation, kNow);
  EXPECT_FALSE(std::get<EndLease>(engine_.take_commands().at(0)).is_answered);
  expose(OperationKind::kWrite);
  attach(kPeer, AccessKind::kWrite);
  lose(kPeer, kNow);
  (void)summary(engine_);
  EXPECT_FALSE(engine_.is_admitted(kPeer));
  expose(OperationKind::kRead);
  attach(kOther, AccessKind::kView);
  (void)engine_.take_commands();
  EXPECT_TRUE(engine_.is_admitted(kOther));
  engine_.cancel(kOperation, kNow);
  EXPECT_FALSE(std::get<EndLease>(engine_.take_commands().at(0)).is_answered);
}

TEST_F(ExposingSide, CancelRevokesAndWaitsForEveryDone) {
  expose_to_two(OperationKind::kWrite);
  engine_.cancel(kOperation, kNow);
  EXPECT_EQ(summary(engine_), "end lease, revoke 5 to 7, revoke 5 to 8");
  done(kPeer, wire::DoneStatus::kComplete);
  EXPECT_EQ(summary(engine_), "");
  done(kOther, wire::DoneStatus::kFailed);
  EXPECT_EQ(summary(engine_), "finish STOP");
}

TEST_F(ExposingSide, DeadlineDoesTheSameAndEndsTimedOut) {
  expose(OperationKind::kRead, 1, kNow + Time(10));
  attach(kPeer, AccessKind::kRead);
  EXPECT_EQ(engine_.next_deadline(), kNow + Time(10));
  (void)engine_.take_commands();
  engine_.tick(kNow + Time(10));
  EXPECT_EQ(summary(engine_), "end lease, revoke 5 to 7");
  done(kPeer, wire::DoneStatus::kCancelled);
  EXPECT_EQ(summary(engine_), "finish ERR timed out");
  EXPECT_EQ(engine_.next_deadline(), kNever);
}

TEST_F(ExposingSide, PastDeadlineEndsAtOnce) {
  expose(OperationKind::kRead, 1, kNow);
  EXPECT_EQ(summary(engine_), "end lease, finish ERR timed out");
}

TEST_F(ExposingSide, SuccessLetsExtraReadersComeToTheirEndUnderTheLease) {
  expose_to_two(OperationKind::kRead);
  done(kPeer, wire::DoneStatus::kComplete);
  EXPECT_EQ(summary(engine_), "progress 64");
  done(kOther, wire::DoneStatus::kComplete);
  EXPECT_EQ(summary(engine_), "end lease, finish DONE");
}

TEST_F(ExposingSide, CancelDoesNotChangeADecidedOutcome) {
  expose_to_two(OperationKind::kRead);
  done(kPeer, wire::DoneStatus::kComplete);
  engine_.cancel(kOperation, kNow);
  done(kOther, wire::DoneStatus::kFailed);
  EXPECT_EQ(summary(engine_), "progress 64, end lease, finish DONE");
}

TEST_F(ExposingSide, ReadableFinishesWithoutLateReaders) {
  expose_to_two(OperationKind::kRead);
  done(kPeer, wire::DoneStatus::kComplete);
  (void)engine_.take_commands();
  EXPECT_EQ(engine_.next_deadline(), kDrained);
  engine_.tick(kDrained);
  EXPECT_EQ(summary(engine_), "end lease, revoke 5 to 8, finish DONE");
  done(kOther, wire::DoneStatus::kFailed);
  EXPECT_EQ(summary(engine_), "");
}

TEST_F(ExposingSide, WritableWaitsForLateWritersWithoutLimit) {
  expose_to_two(OperationKind::kWrite);
  done(kPeer, wire::DoneStatus::kComplete);
  (void)engine_.take_commands();
  engine_.tick(kDrained);
  EXPECT_EQ(summary(engine_), "end lease, revoke 5 to 8");
  EXPECT_EQ(engine_.next_deadline(), kNever);
  lose(kOther, kDrained);
  EXPECT_EQ(summary(engine_), "finish DONE");
}

TEST_F(ExposingSide, LossOfAnAttachedPeerEndsItAndRevokesTheOthers) {
  expose_to_two(OperationKind::kRead, 2);
  lose(kPeer, kNow);
  EXPECT_EQ(summary(engine_), "end lease, revoke 5 to 8");
  done(kOther, wire::DoneStatus::kCancelled);
  EXPECT_EQ(summary(engine_), "finish ERR disconnected");
}

TEST_F(ExposingSide, LossOfAnotherPeerIsNoneOfItsBusiness) {
  expose_to_two(OperationKind::kRead);
  lose(kOther + 1, kNow);
  EXPECT_EQ(summary(engine_), "");
}

TEST_F(ExposingSide, EndsAsThePeerEnded) {
  expose(OperationKind::kRead);
  attach(kPeer, AccessKind::kRead);
  (void)engine_.take_commands();
  done(kPeer, wire::DoneStatus::kFailed);
  const auto commands = engine_.take_commands();
  const auto& failure = std::get<Finish>(commands.at(1)).outcome.failure;
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->kind, ErrorKind::kCancelled);
  EXPECT_EQ(failure->peer, kPeer);
  EXPECT_NE(failure->message.find("why"), std::string::npos);

  expose(OperationKind::kRead);
  attach(kPeer, AccessKind::kRead);
  (void)engine_.take_commands();
  done(kPeer, wire::DoneStatus::kCancelled);
  EXPECT_EQ(summary(engine_), "end lease, finish ERR cancelled");
}

TEST_F(ExposingSide, IgnoresDoneOfWhoIsNotAttached) {
  expose(OperationKind::kRead);
  attach(kPeer, AccessKind::kRead);
  (void)engine_.take_commands();
  done(kOther, wire::DoneStatus::kComplete);
  EXPECT_EQ(summary(engine_), "");
  EXPECT_EQ(engine_.live_operations(), 1U);
}

TEST_F(ExposingSide, NotificationOfAGenuineAgentIsASuccess) {
  expose(OperationKind::kRead, 2);
  engine_.notification_arrived("key", kNow);
  engine_.notification_arrived("another", kNow);
  EXPECT_EQ(summary(engine_), "");
  engine_.notification_arrived("key", kNow);
  EXPECT_EQ(summary(engine_), "end lease, finish DONE");
}

TEST_F(ExposingSide, EarlyNotificationsAreNotForgotten) {
  engine_.notification_arrived("key", kNow);
  engine_.notification_arrived("key", kNow);
  expose(OperationKind::kWrite, 2);
  EXPECT_EQ(summary(engine_), "end lease, finish DONE");
}

}  // namespace
}  // namespace nixl_connect::core
