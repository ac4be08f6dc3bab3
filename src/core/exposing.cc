// SPDX-License-Identifier: Apache-2.0
//
// Bodies of ExposingSide.
#include "core/exposing.h"

#include <algorithm>
#include <utility>

#include "core/agenda.h"
#include "core/outcomes.h"

namespace nixl_connect::core {
namespace {

constexpr const char* kHasEnded = "it has ended";

}  // namespace

void ExposingSide::expose(const Exposure& exposure, Time now) {
  const auto at = operations_.try_emplace(exposure.operation).first;
  at->second.exposure = exposure;
  by_lease_.emplace(exposure.lease, exposure.operation);
  by_key_.emplace(at->second.exposure.notification_key, exposure.operation);
  if (exposure.deadline <= now) {
    decide(at, timed_out(), now);
    return;
  }
  agenda_.deadlines.set(exposure.operation, exposure.deadline);
  count_successes(at, early_arrivals_.take(exposure.notification_key), now);
}

void ExposingSide::attached(PeerId peer, const wire::Attach& attach, bool is_lost,
                            Time now) {
  const auto at = find_by_lease(attach.lease);
  Operation* operation = at == operations_.end() ? nullptr : &at->second;
  if (const char* reason = refusal(operation, attach)) {
    agenda_.add(Send{peer, wire::Revoke{attach.operation, reason}});
    return;
  }
  const Attachment attachment{peer, attach.operation, wire::needs_grant(attach.access),
                              is_lost};
  auto& all = operation->attached;
  if (std::any_of(all.begin(), all.end(), of_operation(peer, attach.operation))) return;
  if (operation->outcome || is_lost) {
    // Without a Grant of its own, under one that the peer has had, or early.
    const bool is_early =
        attach.access == wire::AccessKind::kWrite && is_admitted(peer);
    const bool may_have_begun =
        is_early || (attachment.holds_memory &&
                     std::any_of(all.begin(), all.end(), is_held_by_peer(peer)));
    if (may_have_begun) all.push_back(attachment);
    // Its loss came first, and decides this one as it did the others.
    if (may_have_begun && !operation->outcome)
      return fail(
          at, {ErrorKind::kDisconnected, "the connection to the peer was lost", peer},
          now);
    const char* reason = operation->outcome ? kHasEnded : "its connection was lost";
    agenda_.add(Send{peer, wire::Revoke{attach.operation, reason}});
    return;
  }
  all.push_back(attachment);
  if (attachment.holds_memory) {
    agenda_.add(Send{peer, wire::Grant{attach.operation}});
    admitted_.insert(peer);
  }
  if (std::exchange(operation->has_begun, true) || operation->has_succeeded) return;
  agenda_.add(Progress{at->first, 0, ""});
}

void ExposingSide::done(PeerId peer, const wire::Done& done, Time now) {
  const auto at = find_by_lease(done.lease);
  if (at == operations_.end()) return;
  Operation& operation = at->second;
  auto& all = operation.attached;
  const auto mine =
      std::find_if(all.begin(), all.end(), of_operation(peer, done.operation));
  if (mine == all.end()) return;
  all.erase(mine);
  if (operation.outcome) {
    finish_if_quiet(at);
    return;
  }
  switch (done.status) {
    case wire::DoneStatus::kComplete:
      if (!operation.has_succeeded)
        agenda_.add(Progress{at->first, done.bytes, done.path});
      count_successes(at, 1, now);
      break;
    // The peer lives and gave up, so these are no loss of a connection.
    case wire::DoneStatus::kCancelled:
      fail(at, {ErrorKind::kCancelled, "the peer cancelled its operation", peer}, now);
      break;
    case wire::DoneStatus::kFailed:
      fail(at,
           {ErrorKind::kCancelled, "the peer's transfer failed: " + done.reason, peer},
           now);
      break;
  }
}

void ExposingSide::notification_arrived(std::string_view key, Time now) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    early_arrivals_.add(key);
    return;
  }
  count_successes(operations_.find(found->second), 1, now);
}

void ExposingSide::peer_lost(PeerId peer, const Failure& failure, Time now) {
  const std::vector<OperationId> affected = operations_of(peer);
  for (const OperationId id : affected) {
    const auto at = operations_.find(id);
    auto& all = at->second.attached;
    for (Attachment& each : all)
      if (each.peer == peer) each.is_lost = true;
    // A read that goes on fails its lease check.
    std::erase_if(all,
                  [](const auto& each) { return each.is_lost && !each.holds_memory; });
    if (at->second.outcome) {
      finish_if_quiet(at);
    } else {
      fail(at, failure, now);
    }
  }
}

void ExposingSide::lease_ended(LeaseId lease) {
  const auto at = find_by_lease(lease);
  if (at == operations_.end()) return;
  at->second.is_lease_ending = false;
  if (at->second.outcome) finish_if_quiet(at);
}

void ExposingSide::peer_left(PeerId peer) {
  admitted_.erase(peer);
  for (const OperationId id : operations_of(peer)) {
    const auto at = operations_.find(id);
    std::erase_if(at->second.attached, of_peer(peer));
    if (at->second.outcome) finish_if_quiet(at);
  }
}

bool ExposingSide::is_held_by(PeerId peer) const {
  return std::any_of(operations_.begin(), operations_.end(), [peer](const auto& each) {
    const auto& all = each.second.attached;
    return std::any_of(all.begin(), all.end(), is_held_by_peer(peer));
  });
}

// That it is attached to.
std::vector<OperationId> ExposingSide::operations_of(PeerId peer) const {
  std::vector<OperationId> found;
  for (const auto& [id, operation] : operations_)
    if (std::any_of(operation.attached.begin(), operation.attached.end(),
                    of_peer(peer)))
      found.push_back(id);
  std::sort(found.begin(), found.end());
  return found;
}

bool ExposingSide::cancel(OperationId operation, Time now) {
  const auto at = operations_.find(operation);
  if (at == operations_.end()) return false;
  if (!at->second.outcome)
    decide(at, at->second.has_succeeded ? completed() : cancelled(), now);
  return true;
}

bool ExposingSide::time_came(OperationId operation, Time now) {
  const auto at = operations_.find(operation);
  if (at == operations_.end()) return false;
  if (!at->second.outcome) {
    decide(at, timed_out(), now);
    return true;
  }
  end_lease(at->second);
  std::erase_if(at->second.attached,
                [](const Attachment& each) { return !each.holds_memory; });
  finish_if_quiet(at);
  return true;
}

ExposingSide::Operations::iterator ExposingSide::find_by_lease(LeaseId lease) {
  const auto found = by_lease_.find(lease);
  return found == by_lease_.end() ? operations_.end() : operations_.find(found->second);
}

const char* ExposingSide::refusal(const Operation* operation,
                                  const wire::Attach& attach) {
  // One answer for both, so that nobody learns which leases exist.
  if (operation == nullptr || operation->exposure.token != attach.token)
    return "no such lease, or it has ended";
  const bool is_writable = operation->exposure.kind == OperationKind::kWrite;
  const bool is_write = attach.access == wire::AccessKind::kWrite;
  if (is_write && !is_writable) return "the memory is exposed for reading";
  if (!is_write && is_writable) return "the memory is exposed for writing";
  return nullptr;
}

void ExposingSide::count_successes(Operations::iterator at, std::uint32_t count,
                                   Time now) {
  Operation& operation = at->second;
  operation.successes += count;
  if (operation.outcome || operation.successes < operation.exposure.readers) return;
  if (!operation.exposure.stays_open) {
    decide(at, completed(), now);
  } else if (!std::exchange(operation.has_succeeded, true)) {
    agenda_.deadlines.clear(at->first);
    agenda_.add(Succeed{at->first});
  }
}

// By a peer's doing.
void ExposingSide::fail(Operations::iterator at, Failure failure, Time now) {
  const Operation& operation = at->second;
  const bool may_others_succeed =
      operation.exposure.stays_open &&
      !std::all_of(operation.attached.begin(), operation.attached.end(), is_lost);
  if (operation.has_succeeded || may_others_succeed) return;
  decide(at, failed(std::move(failure)), now);
}

void ExposingSide::decide(Operations::iterator at, Outcome outcome, Time now) {
  Operation& operation = at->second;
  const bool may_come_to_their_end =
      outcome.status == OperationStatus::kComplete && !operation.has_succeeded;
  operation.outcome = std::move(outcome);
  if (!may_come_to_their_end) end_lease(operation);
  if (operation.attached.empty()) {
    finish(at);
  } else {
    agenda_.deadlines.set(at->first, now + agenda_.drain_timeout);
  }
}

void ExposingSide::end_lease(Operation& operation) {
  if (std::exchange(operation.is_lease_over, true)) return;
  operation.is_lease_ending =
      operation.exposure.kind == OperationKind::kWrite && !admitted_.empty();
  agenda_.add(EndLease{operation.exposure.lease, operation.is_lease_ending});
  const auto& failure = operation.outcome->failure;
  for (const Attachment& attachment : operation.attached)
    agenda_.add(Send{
        attachment.peer,
        wire::Revoke{attachment.operation, failure ? failure->message : kHasEnded}});
}

void ExposingSide::finish(Operations::iterator at) {
  Operation& operation = at->second;
  end_lease(operation);
  agenda_.deadlines.clear(at->first);
  if (operation.is_lease_ending) return;
  agenda_.add(Finish{at->first, *std::move(operation.outcome)});
  by_lease_.erase(operation.exposure.lease);
  by_key_.erase(operation.exposure.notification_key);
  operations_.erase(at);
}

void ExposingSide::finish_if_quiet(Operations::iterator at) {
  if (at->second.attached.empty()) finish(at);
}

}  // namespace nixl_connect::core
