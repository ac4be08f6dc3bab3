// SPDX-License-Identifier: Apache-2.0
//
// The life of an initiating operation as one table: in each state, what each event
// leads to. Pure data. The transfer runs in kMoving and kDraining and nowhere else, so
// these two are left only when it has ended. A view moves nothing: once granted, it is
// open until its user closes it, whatever the peer and the clock say.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nixl_connect::core {

enum class State : std::uint8_t {
  kAwaitingGrant,  // a write or view that the exposing side has not admitted yet
  kMoving,         // the transfer runs
  kVerifying,      // a read's bytes are here; was the lease still valid?
  kOpen,           // a view: the user looks at the peer's memory
  kDraining,       // the outcome is decided, the transfer still runs
  kEnded,
};
constexpr std::size_t kStates = 6;

enum class Event : std::uint8_t {
  kGranted,
  kGrantedView,  // the same, of a view
  kRevoked,
  kMoved,           // all bytes are where they belong, nothing is left to check
  kMovedUnchecked,  // the same, of a read whose lease is to be checked now
  kMoveFailed,
  kLeaseValid,
  kLeaseInvalid,  // or its word could not be read
  kCancelled,
  kDeadlinePassed,
  kPeerLost,
  kDrainTimedOut,
};
constexpr std::size_t kEvents = 12;

enum class Action : std::uint8_t {
  kNone,
  kStart,     // start the transfer
  kOpen,      // a view is COMPLETE: tell the user, stop the clock
  kRecall,    // tell the user of a view that its memory is wanted back
  kCheck,     // check the lease
  kStop,      // decide the outcome, stop the transfer, start the drain's clock
  kDropPeer,  // close the connection by force
  kEnd,       // decide the outcome unless decided, tell the peer and the user
};

struct Step {
  State next;
  Action action;

  bool operator==(const Step&) const = default;
};

namespace table {

constexpr Step kStart{State::kMoving, Action::kStart};
constexpr Step kView{State::kOpen, Action::kOpen};
constexpr Step kTell{State::kOpen, Action::kRecall};
constexpr Step kCheck{State::kVerifying, Action::kCheck};
constexpr Step kStop{State::kDraining, Action::kStop};
constexpr Step kDrop{State::kDraining, Action::kDropPeer};
constexpr Step kEnd{State::kEnded, Action::kEnd};
// Nothing happens.
constexpr Step kWait{State::kAwaitingGrant, Action::kNone};
constexpr Step kMove{State::kMoving, Action::kNone};
constexpr Step kVeri{State::kVerifying, Action::kNone};
constexpr Step kOpen{State::kOpen, Action::kNone};
constexpr Step kDrai{State::kDraining, Action::kNone};
constexpr Step kOver{State::kEnded, Action::kNone};

// clang-format off
constexpr Step kSteps[kEvents][kStates] = {
    //              kAwaitingGrant kMoving kVerifying kOpen kDraining kEnded
    /* kGranted        */ {kStart,  kMove,   kVeri,   kOpen,   kDrai,   kOver},
    /* kGrantedView    */ {kView,   kMove,   kVeri,   kOpen,   kDrai,   kOver},
    /* kRevoked        */ {kEnd,    kStop,   kEnd,    kTell,   kDrai,   kOver},
    /* kMoved          */ {kWait,   kEnd,    kVeri,   kOpen,   kEnd,    kOver},
    /* kMovedUnchecked */ {kWait,   kCheck,  kVeri,   kOpen,   kEnd,    kOver},
    /* kMoveFailed     */ {kWait,   kEnd,    kVeri,   kOpen,   kEnd,    kOver},
    /* kLeaseValid     */ {kWait,   kMove,   kEnd,    kOpen,   kDrai,   kOver},
    /* kLeaseInvalid   */ {kWait,   kMove,   kEnd,    kOpen,   kDrai,   kOver},
    /* kCancelled      */ {kEnd,    kStop,   kEnd,    kEnd,    kDrai,   kOver},
    /* kDeadlinePassed */ {kEnd,    kStop,   kEnd,    kOpen,   kDrai,   kOver},
    /* kPeerLost       */ {kEnd,    kStop,   kEnd,    kTell,   kDrai,   kOver},
    /* kDrainTimedOut  */ {kWait,   kMove,   kVeri,   kOpen,   kDrop,   kOver},
};
// clang-format on

}  // namespace table

constexpr Step step(State state, Event event) {
  return table::kSteps[static_cast<std::size_t>(event)]
                      [static_cast<std::size_t>(state)];
}

}  // namespace nixl_connect::core
