// SPDX-License-Identifier: Apache-2.0
//
// The exposing side of the engine: memory that peers read, view or write. A member of
// Engine; not thread-safe.
//
// An exposure is open until its outcome is decided: by as many successes as announced,
// a peer's failure, cancel or death, or by ourselves. It then drains until no peer is
// attached, and finishes. What each decision means for the peers still attached:
//   success   they may come to their end, within the drain timeout; nobody may attach
//   all else  the lease ends at once and they are told to stop (Revoke)
// Only our own cancel ends it as CANCELLED: a peer that cancels leaves us without what
// we wait for, so that is an error here.
//
// One that stays open does not end by a peer's failure while another one is attached.
// It tells of its success and goes on, undecided, without a deadline; failures do not
// matter to it any more. Only our own cancel decides it.
//
// Past the drain timeout the lease ends in any case, and readers are not waited for any
// more: they check the lease after their bytes have come, so none of them takes wrong
// bytes for right ones. Writers and viewers hold the memory: they are waited for until
// their Done or their peer's death, without limit. They need no cooperation of this
// process, so nothing done here (dropping the connection neither) would keep a writer's
// bytes out of memory that the user has taken back, or a viewer's eyes off it. One that
// is attached may have begun another write or view meanwhile, without waiting for a
// Grant of its own: that one is told to stop, and waited for like the first. So may any
// peer that anything was granted to once (admitted): it goes by the lease's word after
// its Attach has arrived. Hence a writable, after its word was cleared, waits until all
// has been heard that arrived before (lease_ended). A genuine NIXL agent is invisible
// except for its notification of success.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/early_arrivals.h"
#include "core/outcomes.h"
#include "core/requests.h"

namespace nixl_connect::wire {
struct Attach;
struct Done;
}  // namespace nixl_connect::wire

namespace nixl_connect::core {

struct Agenda;

class ExposingSide {
 public:
  explicit ExposingSide(Agenda& agenda) : agenda_(agenda) {}

  void expose(const Exposure& exposure, Time now);

  void attached(PeerId peer, const wire::Attach& attach, bool is_lost, Time now);
  void done(PeerId peer, const wire::Done& done, Time now);
  void notification_arrived(std::string_view key, Time now);
  void peer_lost(PeerId peer, const Failure& failure, Time now);
  void peer_left(PeerId peer);
  void lease_ended(LeaseId lease);
  bool is_held_by(PeerId peer) const;
  bool is_admitted(PeerId peer) const { return admitted_.contains(peer); }

  // False if no live operation of this side has that number.
  bool cancel(OperationId operation, Time now);
  bool time_came(OperationId operation, Time now);

  std::size_t live_operations() const noexcept { return operations_.size(); }

 private:
  struct Attachment {
    PeerId peer;
    OperationId operation;  // the peer's number
    bool holds_memory;      // a write or a view
    bool is_lost = false;   // with its peer, which has not left
  };
  struct Operation {
    Exposure exposure;
    std::vector<Attachment> attached;
    std::uint32_t successes = 0;
    bool has_begun = false;
    bool is_lease_over = false;
    bool is_lease_ending = false;    // until lease_ended()
    bool has_succeeded = false;      // and stays open
    std::optional<Outcome> outcome;  // since it is decided: draining
  };
  using Operations = std::unordered_map<OperationId, Operation>;

  static auto of_peer(PeerId peer) {
    return [peer](const Attachment& attachment) { return attachment.peer == peer; };
  }
  static auto is_held_by_peer(PeerId peer) {
    return [peer](const Attachment& attachment) {
      return attachment.peer == peer && attachment.holds_memory;
    };
  }
  static bool is_lost(const Attachment& attachment) { return attachment.is_lost; }
  static auto of_operation(PeerId peer, OperationId operation) {
    return [peer, operation](const Attachment& attachment) {
      return attachment.peer == peer && attachment.operation == operation;
    };
  }
  Operations::iterator find_by_lease(LeaseId lease);
  std::vector<OperationId> operations_of(PeerId peer) const;
  // Why the attach is refused; nothing if it is not.
  static const char* refusal(const Operation* operation, const wire::Attach& attach);
  void count_successes(Operations::iterator at, std::uint32_t count, Time now);
  void fail(Operations::iterator at, Failure failure, Time now);
  void decide(Operations::iterator at, Outcome outcome, Time now);
  void end_lease(Operation& operation);
  void finish(Operations::iterator at);
  void finish_if_quiet(Operations::iterator at);

  Agenda& agenda_;
  Operations operations_;
  std::unordered_map<LeaseId, OperationId> by_lease_;
  std::unordered_map<std::string_view, OperationId> by_key_;  // text in operations_
  EarlyArrivals early_arrivals_;
  std::unordered_set<PeerId> admitted_;
};

}  // namespace nixl_connect::core
