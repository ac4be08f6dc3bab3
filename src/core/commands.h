// SPDX-License-Identifier: Apache-2.0
//
// What the core asks of the runtime. Plain data.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "core/outcomes.h"
#include "core/terms.h"
#include "wire/control.h"

namespace nixl_connect::core {

// Move the bytes of an operation, flush included. Answered by exactly one
// transfer_ended(), when nothing of it can touch memory any more.
struct StartTransfer {
  OperationId operation;
};

// Submit no more of it; what is under way goes on to its end. Answered by that same
// transfer_ended().
struct StopTransfer {
  OperationId operation;
};

// Get the lease's word from the peer and compare it with the token. Answered by at most
// one lease_checked().
struct CheckLease {
  OperationId operation;
};

// The lease is over: clear its word now, before the commands that follow. If it is
// answered, then by exactly one lease_ended(), behind all messages that had arrived
// over local channels when the word was cleared.
struct EndLease {
  LeaseId lease;
  bool is_answered = false;
};

// Behind the Send of an Attach: whether that has surely arrived at the peer, and after
// that the lease's word still holds the token. Only then answered, by lease_seen().
struct LookAtLease {
  OperationId operation;
};

// Send a NIXL notification to a genuine NIXL agent.
struct Notify {
  PeerId peer;
  std::string key;
};

// Send a control message to a peer of ours, after those that came before. One that
// nobody waits for may be held for a moment, to leave with others.
struct Send {
  PeerId peer;
  wire::ControlBody body;
  bool is_awaited = true;
};

// Close the connection to a peer that does not answer. Its transfers end with failures,
// peer_lost() follows, and peer_left().
struct DropPeer {
  PeerId peer;
};

// The operation is COMPLETE, but stays open (an exposing one that does, or a view):
// tell the user, and keep the memory until its Finish, which then brings the same
// outcome.
struct Succeed {
  OperationId operation;
};

// The peer wants back the memory that an open view shows, or is gone: tell the user.
// May come more than once.
struct Recall {
  OperationId operation;
};

// The operation is over and its memory quiet: release the memory, tell the user.
struct Finish {
  OperationId operation;
  Outcome outcome;
};

// The exposing side learned that a peer has begun, or how far and which way it came.
struct Progress {
  OperationId operation;
  std::uint64_t bytes = 0;
  std::string path;  // empty: unknown
};

using Command =
    std::variant<StartTransfer, StopTransfer, CheckLease, EndLease, LookAtLease, Notify,
                 Send, DropPeer, Succeed, Recall, Finish, Progress>;

}  // namespace nixl_connect::core
