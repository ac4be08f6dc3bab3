// SPDX-License-Identifier: Apache-2.0
//
// What must hold in every cell of the table of initiating operations.
#include "core/transitions.h"

#include <gtest/gtest.h>

namespace nixl_connect::core {
namespace {

template <typename Check>
void for_each_pair(Check check) {
  for (std::size_t s = 0; s < kStates; ++s) {
    for (std::size_t e = 0; e < kEvents; ++e) {
      SCOPED_TRACE(testing::Message() << "state " << s << ", event " << e);
      const auto state = static_cast<State>(s);
      const auto event = static_cast<Event>(e);
      check(state, event, step(state, event));
    }
  }
}

bool runs(State state) { return state == State::kMoving || state == State::kDraining; }

bool ends_transfer(Event event) {
  return event == Event::kMoved || event == Event::kMovedUnchecked ||
         event == Event::kMoveFailed;
}

bool calls_for_the_end(Event event) {
  return event == Event::kRevoked || event == Event::kCancelled ||
         event == Event::kDeadlinePassed || event == Event::kPeerLost;
}

TEST(Transitions, ActionFitsTheStepInEveryPair) {
  for_each_pair([](State state, Event event, Step taken) {
    switch (taken.action) {
      case Action::kNone:
        EXPECT_EQ(taken.next, state);
        break;
      case Action::kStart:
        EXPECT_EQ(event, Event::kGranted);
        EXPECT_EQ(state, State::kAwaitingGrant);
        EXPECT_EQ(taken.next, State::kMoving);
        break;
      case Action::kOpen:
        EXPECT_EQ(event, Event::kGrantedView);
        EXPECT_EQ(state, State::kAwaitingGrant);
        EXPECT_EQ(taken.next, State::kOpen);
        break;
      case Action::kRecall:
        EXPECT_EQ(state, State::kOpen);
        EXPECT_EQ(taken.next, State::kOpen);
        break;
      case Action::kCheck:
        EXPECT_EQ(event, Event::kMovedUnchecked);
        EXPECT_EQ(taken.next, State::kVerifying);
        break;
      case Action::kStop:
        EXPECT_EQ(state, State::kMoving);
        EXPECT_EQ(taken.next, State::kDraining);
        break;
      case Action::kDropPeer:
        EXPECT_EQ(event, Event::kDrainTimedOut);
        EXPECT_EQ(state, State::kDraining);
        EXPECT_EQ(taken.next, State::kDraining);
        break;
      case Action::kEnd:
        EXPECT_NE(state, State::kEnded);
        EXPECT_EQ(taken.next, State::kEnded);
        break;
    }
  });
}

TEST(Transitions, RunningTransferIsLeftOnlyByItsEnd) {
  for_each_pair([](State state, Event event, Step taken) {
    if (runs(state)) {
      EXPECT_EQ(!runs(taken.next), ends_transfer(event));
    } else {
      EXPECT_EQ(runs(taken.next), taken.action == Action::kStart);
    }
  });
}

TEST(Transitions, OpenViewIsEndedByItsUserOnly) {
  for_each_pair([](State state, Event event, Step taken) {
    if (state != State::kOpen) return;
    EXPECT_EQ(taken.next, event == Event::kCancelled ? State::kEnded : State::kOpen);
    const bool is_told = event == Event::kRevoked || event == Event::kPeerLost;
    EXPECT_EQ(taken.action == Action::kRecall, is_told);
  });
}

TEST(Transitions, EveryOtherLiveStateHeedsACallForTheEnd) {
  for_each_pair([](State state, Event event, Step taken) {
    if (state == State::kEnded || state == State::kOpen || !calls_for_the_end(event))
      return;
    EXPECT_EQ(taken.next, runs(state) ? State::kDraining : State::kEnded);
  });
}

TEST(Transitions, LeaseDecidesOnlyWhileVerifying) {
  for_each_pair([](State state, Event event, Step taken) {
    if (event != Event::kLeaseValid && event != Event::kLeaseInvalid) return;
    EXPECT_EQ(taken.action, state == State::kVerifying ? Action::kEnd : Action::kNone);
  });
}

TEST(Transitions, EndedIsForEver) {
  for_each_pair([](State state, Event, Step taken) {
    if (state != State::kEnded) return;
    EXPECT_EQ(taken, (Step{State::kEnded, Action::kNone}));
  });
}

}  // namespace
}  // namespace nixl_connect::core
