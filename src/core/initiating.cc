// SPDX-License-Identifier: Apache-2.0
//
// Bodies of InitiatingSide.
#include "core/initiating.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/lease_over.h"
#include "core/agenda.h"
#include "core/outcomes.h"

namespace nixl_connect::core {
namespace {

wire::DoneStatus done_status(OperationStatus status) {
  switch (status) {
    case OperationStatus::kComplete:
      return wire::DoneStatus::kComplete;
    case OperationStatus::kCancelled:
      return wire::DoneStatus::kCancelled;
    default:
      return wire::DoneStatus::kFailed;
  }
}

}  // namespace

void InitiatingSide::begin(const Transfer& transfer, Time now) {
  const OperationId id = transfer.operation;
  if (transfer.deadline <= now) {
    agenda_.add(Finish{id, timed_out()});
    return;
  }
  const auto at = operations_.try_emplace(id).first;
  Operation& operation = at->second;
  operation.peer = transfer.peer;
  operation.access = transfer.access;
  operation.lease = transfer.lease;
  operation.bytes_moved = transfer.bytes;
  operation.path = transfer.path;
  agenda_.deadlines.set(id, transfer.deadline);
  if (!transfer.lease) operation.notification_key = transfer.notification_key;
  const bool needs_grant = transfer.lease && wire::needs_grant(transfer.access);
  const bool joins = needs_grant && granted_.count(grant_key(operation)) > 0;
  if (transfer.lease)
    agenda_.add(Send{
        transfer.peer,
        wire::Attach{id, transfer.lease->id, transfer.lease->token, transfer.access},
        needs_grant && !joins});
  if (needs_grant)
    operation.state = State::kAwaitingGrant;
  else
    agenda_.add(StartTransfer{id});
  if (joins)
    granted(at, now);
  else if (needs_grant && transfer.may_begin_early)
    agenda_.add(LookAtLease{id});
}

InitiatingSide::GrantKey InitiatingSide::grant_key(const Operation& operation) {
  return {operation.peer, operation.access, *operation.lease};
}

void InitiatingSide::note_grant(Operation& operation) {
  operation.is_granted = true;
  ++granted_[grant_key(operation)];
}

// From here on no further operation joins this one.
void InitiatingSide::forget_grant(Operation& operation) {
  if (!std::exchange(operation.is_granted, false)) return;
  const auto at = granted_.find(grant_key(operation));
  if (--at->second == 0) granted_.erase(at);
}

void InitiatingSide::granted(PeerId peer, const wire::Grant& grant, Time now) {
  const auto at = find_of_peer(grant.operation, peer);
  if (at != operations_.end()) granted(at, now);
}

void InitiatingSide::lease_seen(OperationId operation, Time now) {
  const auto at = operations_.find(operation);
  if (at != operations_.end()) granted(at, now);
}

void InitiatingSide::granted(Operations::iterator at, Time now) {
  const bool is_view = at->second.access == wire::AccessKind::kView;
  fire(at, is_view ? Event::kGrantedView : Event::kGranted, completed(), now);
}

void InitiatingSide::revoked(PeerId peer, const wire::Revoke& revoke, Time now) {
  const auto at = find_of_peer(revoke.operation, peer);
  if (at == operations_.end()) return;
  fire(at, Event::kRevoked,
       failed(ErrorKind::kCancelled, base::lease_over_text(revoke.reason)), now);
}

void InitiatingSide::transfer_ended(OperationId operation,
                                    std::optional<Failure> failure, std::uint64_t bytes,
                                    std::string path, Time now) {
  const auto at = operations_.find(operation);
  if (at == operations_.end()) return;
  at->second.bytes_moved = bytes;
  at->second.path = std::move(path);
  if (failure) {
    fire(at, Event::kMoveFailed, failed(*std::move(failure)), now);
    return;
  }
  const bool is_to_check =
      at->second.lease.has_value() && at->second.access == wire::AccessKind::kRead;
  fire(at, is_to_check ? Event::kMovedUnchecked : Event::kMoved, completed(), now);
}

void InitiatingSide::lease_checked(OperationId operation, bool is_valid,
                                   std::optional<Failure> failure, Time now) {
  const auto at = operations_.find(operation);
  if (at == operations_.end()) return;
  if (failure) {
    fire(at, Event::kLeaseInvalid, failed(*std::move(failure)), now);
  } else if (is_valid) {
    fire(at, Event::kLeaseValid, completed(), now);
  } else {
    fire(at, Event::kLeaseInvalid,
         failed(ErrorKind::kCancelled, base::lease_over_text()), now);
  }
}

void InitiatingSide::peer_lost(PeerId peer, const Failure& failure, Time now) {
  std::vector<OperationId> affected;
  for (const auto& [id, operation] : operations_)
    if (operation.peer == peer) affected.push_back(id);
  std::sort(affected.begin(), affected.end());
  for (const OperationId id : affected) {
    const auto at = operations_.find(id);
    at->second.is_peer_lost = true;
    fire(at, Event::kPeerLost,
         failed(failure.kind, failure.message + "; ask for new metadata"), now);
  }
}

bool InitiatingSide::cancel(OperationId operation, Time now) {
  const auto at = operations_.find(operation);
  if (at == operations_.end()) return false;
  fire(at, Event::kCancelled, cancelled(), now);
  return true;
}

bool InitiatingSide::time_came(OperationId operation, Time now) {
  const auto at = operations_.find(operation);
  if (at == operations_.end()) return false;
  const bool is_draining = at->second.state == State::kDraining;
  fire(at, is_draining ? Event::kDrainTimedOut : Event::kDeadlinePassed, timed_out(),
       now);
  return true;
}

InitiatingSide::Operations::iterator InitiatingSide::find_of_peer(OperationId operation,
                                                                  PeerId peer) {
  const auto at = operations_.find(operation);
  return at != operations_.end() && at->second.peer == peer ? at : operations_.end();
}

void InitiatingSide::fire(Operations::iterator at, Event event, Outcome offered,
                          Time now) {
  const OperationId id = at->first;
  Operation& operation = at->second;
  const Step taken = step(operation.state, event);
  operation.state = taken.next;
  switch (taken.action) {
    case Action::kNone:
      break;
    case Action::kStart:
      note_grant(operation);
      agenda_.add(StartTransfer{id});
      break;
    case Action::kOpen:
      operation.outcome = std::move(offered);
      note_grant(operation);
      agenda_.deadlines.clear(id);
      agenda_.add(Succeed{id});
      break;
    case Action::kRecall:
      forget_grant(operation);
      agenda_.add(Recall{id});
      break;
    case Action::kCheck:
      agenda_.add(CheckLease{id});
      break;
    case Action::kStop:
      operation.outcome = std::move(offered);
      forget_grant(operation);
      agenda_.add(StopTransfer{id});
      agenda_.deadlines.set(id, now + agenda_.drain_timeout);
      break;
    case Action::kDropPeer:
      if (!operation.is_peer_lost) agenda_.add(DropPeer{operation.peer});
      break;
    case Action::kEnd:
      if (!operation.outcome) operation.outcome = std::move(offered);
      end(at);
      break;
  }
}

void InitiatingSide::end(Operations::iterator at) {
  const OperationId id = at->first;
  Operation& operation = at->second;
  Outcome outcome = *std::move(operation.outcome);
  const bool is_complete = outcome.status == OperationStatus::kComplete;
  forget_grant(operation);
  if (operation.lease && !operation.is_peer_lost) {
    agenda_.add(Send{operation.peer,
                     wire::Done{id, operation.lease->id, done_status(outcome.status),
                                operation.bytes_moved,
                                outcome.failure ? outcome.failure->message : "",
                                std::move(operation.path)},
                     false});
  } else if (!operation.lease && is_complete) {
    agenda_.add(Notify{operation.peer, std::move(operation.notification_key)});
  }
  agenda_.add(Finish{id, std::move(outcome)});
  agenda_.deadlines.clear(id);
  operations_.erase(at);
}

}  // namespace nixl_connect::core
