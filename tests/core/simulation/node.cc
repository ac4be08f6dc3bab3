// SPDX-License-Identifier: Apache-2.0
//
// Node: what its user and the network do to it.
#include "simulation/node.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "simulation/describe.h"
#include "simulation/world.h"

namespace nixl_connect::core::simulation {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t kMostCells = 4;
constexpr std::string_view kAccessNames[] = {"read", "write", "view"};
constexpr LeaseId kFirstLease = 100;  // so that leases differ from operations

// How much later than the drain timeout an operation may end: a dropped connection and
// the end of its transfers take their time.
constexpr Time kSlack = milliseconds(5);

}  // namespace

void Node::expose(OperationKind kind, std::uint32_t readers, Time deadline,
                  bool stays_open) {
  const OperationId id = ++last_operation_;
  Exposed& exposed = exposed_[id];
  for (std::size_t i = world_.random.below(kMostCells + 1); i > 0; --i)
    exposed.cells.push_back(++world_.last_cell);
  exposed.original = exposed.cells;
  std::string key = "key-" + std::to_string(number_) + "-" + std::to_string(id);
  exposed.request = {id,
                     kind,
                     key,
                     kFirstLease + id,
                     world_.random.next() | 1,
                     readers,
                     deadline,
                     stays_open && !is_genuine_};
  Offer offer{number_, id, kind, exposed.cells.size(), std::move(key), std::nullopt};
  if (!is_genuine_) offer.lease = LeaseKey{kFirstLease + id, exposed.request.token};
  world_.offers.push_back(std::move(offer));
  world_.trace(number_, "exposes ", id, " for ", to_string(kind), ", ", readers,
               " readers, deadline ", deadline.count());
  if (is_genuine_) {
    exposed.is_announced = true;
  } else if (world_.random.chance(10)) {
    world_.events.after(world_.random.up_to(microseconds(300)),
                        [this, id] { announce(id); });
  } else {
    announce(id);
  }
}

void Node::announce(OperationId exposed) {
  if (!is_alive_) return;
  Exposed& operation = exposed_.at(exposed);
  operation.is_announced = true;
  ++live_operations_;
  engine_.expose(operation.request, world_.events.now());
  expect_end_after(operation.request.deadline, exposed);
  pump();
}

void Node::begin(std::size_t offer_number, Time deadline) {
  const OperationId id = ++last_operation_;
  const Offer& offer = world_.offers[offer_number];
  Initiated& operation = initiated_[id];
  operation.offer = offer_number;
  operation.request.operation = id;
  operation.request.peer = world_.network.connect(number_, offer.node);
  operation.request.access = choose_access(offer, operation.request.peer);
  operation.request.notification_key = offer.notification_key;
  if (!is_genuine_) operation.request.lease = offer.lease;
  operation.request.deadline = deadline;
  if (!is_genuine_) disturb(operation.request);
  operation.request.may_begin_early =
      operation.request.access == wire::AccessKind::kWrite &&
      offer.kind == OperationKind::kWrite &&
      world_.network.is_local(operation.request.peer) &&
      have_granted_.contains(operation.request.peer);
  operation.cells.resize(offer.cells);
  if (operation.request.access == wire::AccessKind::kWrite)
    for (Cell& cell : operation.cells) cell = ++world_.last_cell;
  world_.trace(number_, "begins ", id, ": ",
               kAccessNames[static_cast<std::size_t>(operation.request.access)], " of ",
               offer.operation, " of node ", offer.node, " as peer ",
               operation.request.peer, ", deadline ", deadline.count());
  if (is_genuine_) {
    start(operation);
    return;
  }
  ++live_operations_;
  const bool is_on_lost = world_.network.is_loss_known(operation.request.peer);
  engine_.begin(operation.request, world_.events.now());
  expect_end_after(deadline, id);
  pump();
  if (is_on_lost) {
    ++world_.journal.coverage.begun_on_lost_peer;
    if (!operation.is_finished) world_.violation(number_, id, " waits for a lost peer");
  }
}

wire::AccessKind Node::choose_access(const Offer& offer, PeerId peer) {
  if (offer.kind == OperationKind::kWrite) return wire::AccessKind::kWrite;
  const bool may_view = !is_genuine_ && offer.lease && world_.network.is_local(peer);
  return may_view && world_.random.chance(35) ? wire::AccessKind::kView
                                              : wire::AccessKind::kRead;
}

// What a confused runtime or a hostile peer would ask for.
void Node::disturb(Transfer& request) {
  if (request.lease && world_.random.chance(2)) request.lease->token ^= 1;
  if (request.lease && world_.random.chance(3))
    request.access = static_cast<wire::AccessKind>(
        world_.random.below(world_.network.is_local(request.peer) ? 3 : 2));
  if (world_.random.chance(10))
    request.peer = world_.network.lost_peer(number_).value_or(request.peer);
}

void Node::cancel_any() {
  if (last_operation_ > 0 && is_alive_ && !is_genuine_)
    cancel(1 + world_.random.below(last_operation_));
}

void Node::cancel_all() {
  if (!is_alive_ || is_genuine_) return;
  for (const auto& [id, operation] : exposed_)
    if (operation.request.deadline == kNever || operation.request.stays_open)
      cancel(id);
  for (const auto& [id, operation] : initiated_)
    if (operation.request.deadline == kNever && !operation.is_open) cancel(id);
}

void Node::cancel(OperationId operation) {
  if (const auto found = exposed_.find(operation);
      found != exposed_.end() && !found->second.is_announced)
    return;
  world_.trace(number_, "cancels ", operation);
  if (exposed_.count(operation) > 0) exposed_.at(operation).is_cancelled = true;
  if (const auto view = initiated_.find(operation);
      view != initiated_.end() && view->second.is_open)
    look(view->second);
  engine_.cancel(operation, world_.events.now());
  expect_end_after(world_.events.now(), operation);
  pump();
  const auto found = exposed_.find(operation);
  if (found == exposed_.end()) return;
  const Exposed& exposed = found->second;
  if (exposed.is_lease_valid &&
      (exposed.has_succeeded || exposed.peers_complete < exposed.request.readers))
    world_.violation(number_, operation, " is cancelled and keeps its lease");
}

// A NIXL agent turned hostile: it knows the protocol, but none of the tokens.
void Node::forge_message(std::size_t victim) {
  if (!is_alive_ || !is_genuine_ || world_.nodes[victim]->is_genuine_) return;
  const OperationId guess = 1 + world_.random.below(8);
  const wire::ControlBody forgeries[] = {
      wire::Grant{guess}, wire::Revoke{guess, "forged"},
      wire::Done{guess, kFirstLease + guess, wire::DoneStatus::kComplete, 0, "", ""},
      wire::Attach{guess, kFirstLease + guess, world_.random.next() & ~1ULL,
                   static_cast<wire::AccessKind>(1 + world_.random.below(2))}};
  const PeerId peer = world_.network.connect(number_, victim);
  if (world_.network.is_loss_known(peer)) return;
  world_.network.send(
      peer, [this, victim, body = forgeries[world_.random.below(4)]](PeerId sender) {
        world_.nodes[victim]->receive(sender, body);
      });
}

void Node::die() {
  if (!is_alive_) return;
  world_.trace(number_, "dies");
  ++world_.journal.coverage.peers_killed;
  is_alive_ = false;
  for (auto& [id, operation] : initiated_) end_view(operation);
  world_.network.cut_all_of(number_);
}

void Node::receive(PeerId sender, const wire::ControlBody& message) {
  if (is_genuine_) {
    // A refused Attach is all that an engine answers to a forger.
    if (!std::holds_alternative<wire::Revoke>(message))
      world_.violation(number_, "a NIXL agent got a message of ours");
    return;
  }
  if (world_.journal.is_traced())
    world_.trace(number_, "receives from peer ", sender, ": ", describe(message));
  if (std::holds_alternative<wire::Grant>(message)) have_granted_.insert(sender);
  if (const auto* attach = std::get_if<wire::Attach>(&message))
    note_if_late(sender, *attach);
  engine_.message_arrived(sender, message, world_.events.now());
  pump();
}

// Of a write that runs though its lease has ended.
void Node::note_if_late(PeerId sender, const wire::Attach& attach) {
  const Node& node = *world_.nodes[world_.network.node_of(sender)];
  const auto early = node.initiated_.find(attach.operation);
  const auto target = exposed_.find(attach.lease - kFirstLease);
  if (early != node.initiated_.end() && early->second.is_early &&
      early->second.is_running && target != exposed_.end() &&
      !target->second.is_lease_valid)
    ++world_.journal.coverage.writes_found;
}

void Node::receive_notification(const std::string& key) {
  world_.trace(number_, "is notified of ", key);
  if (is_genuine_) return;
  for (const auto& [id, operation] : exposed_)
    if (operation.request.notification_key == key && !operation.is_announced)
      ++world_.journal.coverage.early_notifications;
  engine_.notification_arrived(key, world_.events.now());
  pump();
}

void Node::lose(PeerId peer) {
  if (!is_alive_) return;
  world_.trace(number_, "loses peer ", peer);
  const Failure failure{ErrorKind::kDisconnected, "connection lost"};
  for (auto& [id, operation] : initiated_) {
    if (operation.request.peer != peer || !operation.is_running) continue;
    if (world_.random.chance(30)) {
      end_transfer(operation, failure);
    } else {
      end_transfer_after(world_.random.up_to(milliseconds(1)), operation, failure);
    }
  }
  world_.network.note_loss(peer);
  if (is_genuine_) return;
  engine_.peer_lost(peer, failure, world_.events.now());
  pump();
  if (!has_open_view_of(peer)) world_.network.cut(peer);
  if (is_touched_by(peer)) ++world_.journal.coverage.lost_before_left;
  tell_when_left(peer);
}

void Node::tell_when_left(PeerId peer) {
  if (!is_alive_) return;
  if (is_touched_by(peer)) {
    world_.events.after(world_.random.up_to(milliseconds(1)),
                        [this, peer] { tell_when_left(peer); });
    return;
  }
  if (engine_.is_admitted(peer) && world_.network.is_local(peer)) {
    world_.network.take_from(peer);
    pump();
  }
  engine_.peer_left(peer);
  pump();
}

bool Node::is_touched_by(PeerId peer) const {
  const Network& network = world_.network;
  return engine_.is_held_by(peer) && network.is_local(peer) &&
         world_.nodes[network.node_of(peer)]->may_touch_memory_of(network.back(peer));
}

bool Node::may_touch_memory_of(PeerId peer) const {
  if (!is_alive_) return false;
  return !world_.network.is_loss_known(peer) || has_open_view_of(peer) ||
         std::any_of(initiated_.begin(), initiated_.end(), [peer](const auto& each) {
           return each.second.request.peer == peer && each.second.is_running;
         });
}

void Node::expect_end_after(Time when, OperationId operation) {
  const auto exposed = exposed_.find(operation);
  const bool is_writable = exposed != exposed_.end() &&
                           exposed->second.request.kind == OperationKind::kWrite;
  // A writable exposure waits for its writers, however long they take.
  if (when == kNever || is_writable) return;
  const Time patience = Settings().drain_timeout + kSlack;
  world_.events.at(when + patience, [this, operation, patience] {
    if (!is_alive_ || !is_live(operation)) return;
    const Time now = world_.events.now();
    if (const auto found = exposed_.find(operation); found != exposed_.end()) {
      // Nor does a readable one leave its viewers.
      if (is_viewed(found->second)) ++world_.journal.coverage.views_waited_for;
      for (const auto& node : world_.nodes)
        if (node->may_hold(found->second, now - patience))
          return expect_end_after(now, operation);
    }
    world_.violation(number_, operation, " is late in coming to its end");
  });
}

bool Node::is_live(OperationId operation) const {
  if (const auto found = exposed_.find(operation); found != exposed_.end()) {
    const Exposed& exposed = found->second;
    const bool is_open = exposed.has_succeeded && !exposed.is_cancelled;
    return !exposed.is_finished && !is_open;
  }
  const auto found = initiated_.find(operation);
  return found != initiated_.end() && !found->second.is_finished &&
         !found->second.is_open;
}

void Node::check_rest() {
  if (!is_alive_ || is_genuine_) return;
  if (engine_.live_operations() != 0 || live_operations_ != 0)
    world_.violation(number_, engine_.live_operations(), " operations never end");
}

}  // namespace nixl_connect::core::simulation
