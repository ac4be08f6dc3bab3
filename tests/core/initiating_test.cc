// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes: the commands of every state at every event, and the ways with a
// genuine NIXL agent.
#include <gtest/gtest.h>

#include <string>

#include "core/engine.h"
#include "core/transitions.h"
#include "summary.h"

namespace nixl_connect::core {
namespace {

constexpr PeerId kPeer = 7;
constexpr OperationId kOperation = 1;
constexpr Time kStart{1000};
constexpr Time kDeadline{5000};
const Failure kLost{ErrorKind::kDisconnected, "lost"};

using wire::AccessKind;

Transfer transfer(AccessKind access, bool has_lease) {
  Transfer result{kOperation, kPeer, access, "key", std::nullopt, kDeadline};
  if (has_lease) result.lease = LeaseKey{3, 9};
  return result;
}

void move(Engine& engine, std::optional<Failure> failure = std::nullopt) {
  engine.transfer_ended(kOperation, std::move(failure), 64, "tcp", kStart);
}

// An operation in the given state.
void bring_to(Engine& engine, State state, AccessKind access) {
  engine.begin(transfer(access, true), kStart);
  if (wire::needs_grant(access) && state != State::kAwaitingGrant)
    engine.message_arrived(kPeer, wire::Grant{kOperation}, kStart);
  if (state == State::kVerifying || state == State::kEnded) move(engine);
  if (state == State::kDraining || state == State::kEnded)
    engine.cancel(kOperation, kStart);
  (void)engine.take_commands();
}

void fire(Engine& engine, Event event) {
  switch (event) {
    case Event::kGranted:
    case Event::kGrantedView:
      return engine.message_arrived(kPeer, wire::Grant{kOperation}, kStart);
    case Event::kRevoked:
      return engine.message_arrived(kPeer, wire::Revoke{kOperation, "over"}, kStart);
    case Event::kMoved:
    case Event::kMovedUnchecked:
      return move(engine);
    case Event::kMoveFailed:
      return move(engine, Failure{ErrorKind::kInternal, "broken"});
    case Event::kLeaseValid:
      return engine.lease_checked(kOperation, true, std::nullopt, kStart);
    case Event::kLeaseInvalid:
      return engine.lease_checked(kOperation, false, std::nullopt, kStart);
    case Event::kCancelled:
      return engine.cancel(kOperation, kStart);
    case Event::kDeadlinePassed:
      return engine.tick(kDeadline);
    case Event::kPeerLost:
      return engine.peer_lost(kPeer, kLost, kStart);
    case Event::kDrainTimedOut:
      return engine.tick(kStart + Settings().drain_timeout);
  }
}

struct Expectation {
  State state;
  Event event;
  const char* commands;
};

constexpr char kDoneComplete[] = "done complete to 7, finish DONE";
constexpr char kGivenUp[] = "done failed to 7, finish ERR cancelled";
constexpr char kCancelled[] = "done cancelled to 7, finish STOP";
constexpr char kTimedOut[] = "done failed to 7, finish ERR timed out";
constexpr char kBroken[] = "done failed to 7, finish ERR internal";
constexpr char kClosed[] = "done complete to 7, finish DONE";
constexpr char kDisconnected[] = "finish ERR disconnected";

// The clock has one moment an operation, so time brings the deadline before the outcome
// is decided and the drain timeout after it: one of the two events in each state.
constexpr Expectation kExpectations[] = {
    {State::kAwaitingGrant, Event::kGranted, "start"},
    {State::kAwaitingGrant, Event::kGrantedView, "succeed"},
    {State::kAwaitingGrant, Event::kRevoked, kGivenUp},
    {State::kAwaitingGrant, Event::kMoved, ""},
    {State::kAwaitingGrant, Event::kMovedUnchecked, ""},
    {State::kAwaitingGrant, Event::kMoveFailed, ""},
    {State::kAwaitingGrant, Event::kLeaseValid, ""},
    {State::kAwaitingGrant, Event::kLeaseInvalid, ""},
    {State::kAwaitingGrant, Event::kCancelled, kCancelled},
    {State::kAwaitingGrant, Event::kDeadlinePassed, kTimedOut},
    {State::kAwaitingGrant, Event::kPeerLost, kDisconnected},
    {State::kMoving, Event::kGranted, ""},
    {State::kMoving, Event::kGrantedView, ""},
    {State::kMoving, Event::kRevoked, "stop"},
    {State::kMoving, Event::kMoved, kDoneComplete},
    {State::kMoving, Event::kMovedUnchecked, "check"},
    {State::kMoving, Event::kMoveFailed, kBroken},
    {State::kMoving, Event::kLeaseValid, ""},
    {State::kMoving, Event::kLeaseInvalid, ""},
    {State::kMoving, Event::kCancelled, "stop"},
    {State::kMoving, Event::kDeadlinePassed, "stop"},
    {State::kMoving, Event::kPeerLost, "stop"},
    {State::kVerifying, Event::kGranted, ""},
    {State::kVerifying, Event::kGrantedView, ""},
    {State::kVerifying, Event::kRevoked, kGivenUp},
    {State::kVerifying, Event::kMoved, ""},
    {State::kVerifying, Event::kMovedUnchecked, ""},
    {State::kVerifying, Event::kMoveFailed, ""},
    {State::kVerifying, Event::kLeaseValid, kDoneComplete},
    {State::kVerifying, Event::kLeaseInvalid, kGivenUp},
    {State::kVerifying, Event::kCancelled, kCancelled},
    {State::kVerifying, Event::kDeadlinePassed, kTimedOut},
    {State::kVerifying, Event::kPeerLost, kDisconnected},
    {State::kOpen, Event::kGranted, ""},
    {State::kOpen, Event::kGrantedView, ""},
    {State::kOpen, Event::kRevoked, "recall"},
    {State::kOpen, Event::kMoved, ""},
    {State::kOpen, Event::kMovedUnchecked, ""},
    {State::kOpen, Event::kMoveFailed, ""},
    {State::kOpen, Event::kLeaseValid, ""},
    {State::kOpen, Event::kLeaseInvalid, ""},
    {State::kOpen, Event::kCancelled, kClosed},
    {State::kOpen, Event::kDeadlinePassed, ""},
    {State::kOpen, Event::kPeerLost, "recall"},
    {State::kDraining, Event::kGranted, ""},
    {State::kDraining, Event::kGrantedView, ""},
    {State::kDraining, Event::kRevoked, ""},
    {State::kDraining, Event::kMoved, kCancelled},
    {State::kDraining, Event::kMovedUnchecked, kCancelled},
    {State::kDraining, Event::kMoveFailed, kCancelled},
    {State::kDraining, Event::kLeaseValid, ""},
    {State::kDraining, Event::kLeaseInvalid, ""},
    {State::kDraining, Event::kCancelled, ""},
    {State::kDraining, Event::kPeerLost, ""},
    {State::kDraining, Event::kDrainTimedOut, "drop 7"},
    {State::kEnded, Event::kGranted, ""},
    {State::kEnded, Event::kGrantedView, ""},
    {State::kEnded, Event::kRevoked, ""},
    {State::kEnded, Event::kMoved, ""},
    {State::kEnded, Event::kMovedUnchecked, ""},
    {State::kEnded, Event::kMoveFailed, ""},
    {State::kEnded, Event::kLeaseValid, ""},
    {State::kEnded, Event::kLeaseInvalid, ""},
    {State::kEnded, Event::kCancelled, ""},
    {State::kEnded, Event::kPeerLost, ""},
    {State::kEnded, Event::kDeadlinePassed, ""},
};

// A read, except where only another can be.
AccessKind access_in(State state, Event event) {
  if (state == State::kOpen || event == Event::kGrantedView) return AccessKind::kView;
  const bool is_write = state == State::kAwaitingGrant ||
                        (event == Event::kMoved && state != State::kVerifying);
  return is_write ? AccessKind::kWrite : AccessKind::kRead;
}

TEST(InitiatingSide, DoesWhatTheTableSaysAtEveryEventInEveryState) {
  static_assert(std::size(kExpectations) == kStates * (kEvents - 1));
  for (const auto& [state, event, commands] : kExpectations) {
    SCOPED_TRACE(testing::Message() << "state " << static_cast<int>(state) << ", event "
                                    << static_cast<int>(event));
    Engine engine;
    bring_to(engine, state, access_in(state, event));
    fire(engine, event);
    EXPECT_EQ(summary(engine), commands);
  }
}

TEST(InitiatingSide, AttachesBeforeItReads) {
  Engine engine;
  engine.begin(transfer(AccessKind::kRead, true), kStart);
  EXPECT_EQ(summary(engine), "attach 1 to 7, start");
}

TEST(InitiatingSide, AttachesAndWaitsBeforeItWrites) {
  Engine engine;
  engine.begin(transfer(AccessKind::kWrite, true), kStart);
  EXPECT_EQ(summary(engine), "attach 1 to 7");
}

TEST(InitiatingSide, BeginsAWriteEarlyOnceItsLeaseIsSeen) {
  Engine engine;
  Transfer write = transfer(AccessKind::kWrite, true);
  write.may_begin_early = true;
  engine.begin(write, kStart);
  EXPECT_EQ(summary(engine), "attach 1 to 7, look at lease");
  engine.lease_seen(1, kStart);
  EXPECT_EQ(summary(engine), "start");
  engine.lease_seen(1, kStart);
  engine.message_arrived(7, wire::Grant{1}, kStart);
  EXPECT_EQ(summary(engine), "") << "it runs already";
  write.operation = 2;
  engine.begin(write, kStart);
  EXPECT_EQ(summary(engine), "attach 2 to 7, start") << "it joins the first";
}

TEST(InitiatingSide, JoinsAWriteThatIsGrantedAndRunning) {
  Engine engine;
  bring_to(engine, State::kMoving, AccessKind::kWrite);
  Transfer second = transfer(AccessKind::kWrite, true);
  second.operation = 2;
  engine.begin(second, kStart);
  EXPECT_EQ(summary(engine), "attach 2 to 7, start");
  move(engine);
  engine.transfer_ended(2, std::nullopt, 64, "tcp", kStart);
  EXPECT_EQ(summary(engine),
            "done complete to 7, finish DONE, done complete to 7, finish DONE");
  Transfer third = transfer(AccessKind::kWrite, true);
  third.operation = 3;
  engine.begin(third, kStart);
  EXPECT_EQ(summary(engine), "attach 3 to 7");
}

TEST(InitiatingSide, JoinsNoWriteThatIsOfAnotherLeaseOrEnding) {
  Engine engine;
  bring_to(engine, State::kMoving, AccessKind::kWrite);
  Transfer other = transfer(AccessKind::kWrite, true);
  other.operation = 2;
  other.lease->id += 1;
  engine.begin(other, kStart);
  EXPECT_EQ(summary(engine), "attach 2 to 7");
  Transfer forged = transfer(AccessKind::kWrite, true);
  forged.operation = 3;
  forged.lease->token += 1;
  engine.begin(forged, kStart);
  EXPECT_EQ(summary(engine), "attach 3 to 7");
  engine.message_arrived(kPeer, wire::Revoke{kOperation, "over"}, kStart);
  EXPECT_EQ(summary(engine), "stop");
  Transfer late = transfer(AccessKind::kWrite, true);
  late.operation = 4;
  engine.begin(late, kStart);
  EXPECT_EQ(summary(engine), "attach 4 to 7");
}

TEST(InitiatingSide, OpensAViewWithItsGrantAndClosesItAsASuccess) {
  Engine engine;
  Transfer view = transfer(AccessKind::kView, true);
  view.bytes = 4096;
  view.path = "map";
  engine.begin(view, kStart);
  EXPECT_EQ(summary(engine), "attach 1 to 7");
  EXPECT_EQ(engine.next_deadline(), kDeadline);
  fire(engine, Event::kGranted);
  EXPECT_EQ(summary(engine), "succeed");
  EXPECT_EQ(engine.next_deadline(), kNever);
  engine.cancel(kOperation, kDeadline);
  const auto commands = engine.take_commands();
  EXPECT_EQ(std::get<wire::Done>(std::get<Send>(commands.at(0)).body),
            (wire::Done{kOperation, 3, wire::DoneStatus::kComplete, 4096, "", "map"}));
  EXPECT_EQ(std::get<Finish>(commands.at(1)).outcome.status,
            OperationStatus::kComplete);
  EXPECT_EQ(engine.live_operations(), 0U);
}

TEST(InitiatingSide, KeepsAViewOpenThroughTheLossOfItsPeerAndSendsItNoDone) {
  Engine engine;
  bring_to(engine, State::kOpen, AccessKind::kView);
  fire(engine, Event::kRevoked);
  engine.peer_lost(kPeer, kLost, kStart);
  EXPECT_EQ(summary(engine), "recall, recall");
  EXPECT_EQ(engine.next_deadline(), kNever);
  engine.cancel(kOperation, kStart);
  EXPECT_EQ(summary(engine), "finish DONE");
}

TEST(InitiatingSide, JoinsAViewThatIsOpenAndNotRecalled) {
  Engine engine;
  bring_to(engine, State::kOpen, AccessKind::kView);
  Transfer another = transfer(AccessKind::kView, true);
  another.operation = 2;
  engine.begin(another, kStart);
  EXPECT_EQ(summary(engine), "attach 2 to 7, succeed");
  EXPECT_EQ(engine.next_deadline(), kNever);
  engine.cancel(kOperation, kStart);
  engine.message_arrived(kPeer, wire::Revoke{2, "over"}, kStart);
  EXPECT_EQ(summary(engine), "done complete to 7, finish DONE, recall");
  another.operation = 3;
  engine.begin(another, kStart);
  EXPECT_EQ(summary(engine), "attach 3 to 7");
}

TEST(InitiatingSide, WriteDoesNotJoinAView) {
  Engine engine;
  bring_to(engine, State::kOpen, AccessKind::kView);
  Transfer write = transfer(AccessKind::kWrite, true);
  write.operation = 2;
  engine.begin(write, kStart);
  EXPECT_EQ(summary(engine), "attach 2 to 7");
}

TEST(InitiatingSide, TellsAGenuineAgentOfSuccessOnly) {
  for (const auto access : {AccessKind::kRead, AccessKind::kWrite}) {
    Engine engine;
    engine.begin(transfer(access, false), kStart);
    EXPECT_EQ(summary(engine), "start");
    move(engine);
    EXPECT_EQ(summary(engine), "notify key, finish DONE");
    engine.begin(transfer(access, false), kStart);
    move(engine, Failure{ErrorKind::kInternal, "broken"});
    EXPECT_EQ(summary(engine), "start, finish ERR internal");
  }
}

TEST(InitiatingSide, DoesNotStartPastTheDeadline) {
  Engine engine;
  engine.begin(transfer(AccessKind::kRead, true), kDeadline);
  EXPECT_EQ(summary(engine), "finish ERR timed out");
  EXPECT_EQ(engine.live_operations(), 0U);
}

TEST(InitiatingSide, TellsBytesPathAndReasonInDone) {
  Engine engine;
  bring_to(engine, State::kMoving, AccessKind::kRead);
  move(engine, Failure{ErrorKind::kInternal, "broken"});
  const auto commands = engine.take_commands();
  const auto& done = std::get<wire::Done>(std::get<Send>(commands.at(0)).body);
  EXPECT_EQ(done, (wire::Done{kOperation, 3, wire::DoneStatus::kFailed, 64, "broken",
                              "tcp"}));
}

TEST(InitiatingSide, KeepsTheFirstDecisionThroughADrain) {
  Engine engine;
  bring_to(engine, State::kMoving, AccessKind::kRead);
  engine.tick(kDeadline);
  engine.cancel(kOperation, kDeadline);
  engine.peer_lost(kPeer, kLost, kDeadline);
  EXPECT_EQ(summary(engine), "stop");
  move(engine);
  EXPECT_EQ(summary(engine), "finish ERR timed out");
}

TEST(InitiatingSide, DropsAPeerOnceAndALostOneNever) {
  const Time late = kStart + Settings().drain_timeout;
  Engine engine;
  bring_to(engine, State::kDraining, AccessKind::kRead);
  engine.tick(late);
  EXPECT_EQ(engine.next_deadline(), kNever);
  engine.tick(late + Settings().drain_timeout);
  EXPECT_EQ(summary(engine), "drop 7");

  Engine other;
  bring_to(other, State::kDraining, AccessKind::kRead);
  other.peer_lost(kPeer, kLost, kStart);
  other.tick(late);
  EXPECT_EQ(summary(other), "");
}

TEST(InitiatingSide, IgnoresGrantAndRevokeOfAnotherPeer) {
  Engine engine;
  bring_to(engine, State::kAwaitingGrant, AccessKind::kWrite);
  engine.message_arrived(kPeer + 1, wire::Grant{kOperation}, kStart);
  engine.message_arrived(kPeer + 1, wire::Revoke{kOperation, "forged"}, kStart);
  EXPECT_EQ(summary(engine), "");
}

TEST(InitiatingSide, SaysTheSameOfAnEndedLeaseHoweverItIsNoticed) {
  const auto told = [](Event event) {
    Engine engine;
    bring_to(engine, State::kVerifying, AccessKind::kRead);
    fire(engine, event);
    const auto commands = engine.take_commands();
    return std::get<Finish>(commands.back()).outcome.failure->message;
  };
  EXPECT_EQ(told(Event::kLeaseInvalid),
            "the exposing side ended the operation; ask it for new metadata");
  EXPECT_EQ(told(Event::kRevoked),
            "the exposing side ended the operation (over); ask it for new metadata");
}

TEST(InitiatingSide, EndsWithTheFailureOfTheLeaseCheck) {
  Engine engine;
  bring_to(engine, State::kVerifying, AccessKind::kRead);
  engine.lease_checked(kOperation, false, kLost, kStart);
  EXPECT_EQ(summary(engine), "done failed to 7, finish ERR disconnected");
}

}  // namespace
}  // namespace nixl_connect::core
