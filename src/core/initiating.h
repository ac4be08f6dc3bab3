// SPDX-License-Identifier: Apache-2.0
//
// The initiating side of the engine: reads, writes and views of memory that a peer
// exposed. transitions.h holds the states and what leads from one to the next; this
// turns each step into commands. A member of Engine; not thread-safe.
//
// With a peer of ours each operation tells its begin (Attach) and its end (one Done,
// unless the peer is lost). A write waits for the peer's Grant, since nothing could
// undo it; but while one write is granted, further ones on that lease join it: their
// Attach leaves before the Done of the first, and the exposing side does not let go
// before it has both. A read goes ahead at once and looks at the lease afterwards: its
// word still holding the token proves that the bytes, which came earlier, were valid.
// And a write for which that word holds the token after its Attach has arrived, over a
// local channel, needs no Grant: the exposing side finds the Attach at the latest when
// it has cleared the word, and waits for the write as for one that it has granted. A
// genuine NIXL agent hears nothing but the notification of a success.
//
// A view waits and joins like a write, since nothing could undo what its user has seen.
// With the Grant it is open, COMPLETE for its user, and has no deadline any more; what
// the exposing side wants, or its loss, is told to the user (Recall) and decides
// nothing. Only our own cancel, which closes it, ends it: as a success.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>

#include "core/outcomes.h"
#include "core/requests.h"
#include "core/transitions.h"

namespace nixl_connect::wire {
struct Grant;
struct Revoke;
}  // namespace nixl_connect::wire

namespace nixl_connect::core {

struct Agenda;

class InitiatingSide {
 public:
  explicit InitiatingSide(Agenda& agenda) : agenda_(agenda) {}

  void begin(const Transfer& transfer, Time now);

  void granted(PeerId peer, const wire::Grant& grant, Time now);
  void lease_seen(OperationId operation, Time now);
  void revoked(PeerId peer, const wire::Revoke& revoke, Time now);

  void transfer_ended(OperationId operation, std::optional<Failure> failure,
                      std::uint64_t bytes, std::string path, Time now);
  void lease_checked(OperationId operation, bool is_valid,
                     std::optional<Failure> failure, Time now);
  void peer_lost(PeerId peer, const Failure& failure, Time now);

  // False if no live operation of this side has that number.
  bool cancel(OperationId operation, Time now);
  bool time_came(OperationId operation, Time now);

  std::size_t live_operations() const noexcept { return operations_.size(); }

 private:
  using GrantKey = std::tuple<PeerId, wire::AccessKind, LeaseKey>;
  struct Operation {
    PeerId peer = 0;
    wire::AccessKind access = wire::AccessKind::kRead;
    State state = State::kMoving;
    std::optional<LeaseKey> lease;
    std::string notification_key;  // only for a genuine NIXL agent
    bool is_peer_lost = false;
    bool is_granted = false;  // counts in granted_
    std::uint64_t bytes_moved = 0;
    std::string path;
    std::optional<Outcome> outcome;  // since it is decided, or a view is open
  };
  using Operations = std::unordered_map<OperationId, Operation>;

  Operations::iterator find_of_peer(OperationId operation, PeerId peer);
  static GrantKey grant_key(const Operation& operation);
  void granted(Operations::iterator at, Time now);
  void note_grant(Operation& operation);
  void forget_grant(Operation& operation);
  // `offered` becomes the outcome if this event decides it.
  void fire(Operations::iterator at, Event event, Outcome offered, Time now);
  void end(Operations::iterator at);

  Agenda& agenda_;
  Operations operations_;
  std::map<GrantKey, std::size_t> granted_;  // how many are under way
};

}  // namespace nixl_connect::core
