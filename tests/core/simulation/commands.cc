// SPDX-License-Identifier: Apache-2.0
//
// Node: the toy runtime carries out the engine's commands, and checks each.
#include <utility>
#include <variant>

#include "simulation/describe.h"
#include "simulation/node.h"
#include "simulation/world.h"

namespace nixl_connect::core::simulation {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

}  // namespace

void Node::pump() {
  if (is_pumping_) return;
  is_pumping_ = true;
  std::vector<Command> commands;
  for (engine_.take_commands(commands); !commands.empty();
       engine_.take_commands(commands)) {
    for (const Command& command : commands) {
      if (world_.journal.is_traced()) world_.trace(number_, "  ", describe(command));
      std::visit([this](const auto& kind) { carry_out(kind); }, command);
    }
  }
  is_pumping_ = false;
  if (engine_.live_operations() != live_operations_)
    world_.violation(number_, "the engine counts ", engine_.live_operations(),
                     " live operations, not ", live_operations_);
  if (live_operations_ == 0 && engine_.next_deadline() != kNever)
    world_.violation(number_, "a deadline of no operation is left");
  arm_tick();
}

void Node::arm_tick() {
  const Time due = engine_.next_deadline();
  if (due == armed_tick_) return;
  armed_tick_ = due;
  if (due == kNever) return;
  world_.events.at(due, [this, due] {
    if (!is_alive_) return;
    if (armed_tick_ == due) armed_tick_ = kNever;
    engine_.tick(world_.events.now());
    pump();
  });
}

Initiated* Node::live_initiated(OperationId operation) {
  const auto found = initiated_.find(operation);
  if (found != initiated_.end() && !found->second.is_finished) return &found->second;
  world_.violation(number_, "a command for ", operation, ", which is not live");
  return nullptr;
}

Exposed& Node::target_of(const Initiated& operation) {
  const Offer& offer = world_.offers[operation.offer];
  return world_.nodes[offer.node]->exposed(offer.operation);
}

void Node::carry_out(const StartTransfer& command) {
  Initiated* operation = live_initiated(command.operation);
  if (operation == nullptr) return;
  if (operation->was_started)
    world_.violation(number_, command.operation, " is started twice");
  start(*operation);
}

void Node::carry_out(const StopTransfer& command) {
  Initiated* operation = live_initiated(command.operation);
  if (operation == nullptr) return;
  if (!operation->is_running || operation->is_stopped)
    world_.violation(number_, command.operation, " is stopped but does not run");
  operation->is_stopped = true;
}

void Node::carry_out(const CheckLease& command) {
  Initiated* operation = live_initiated(command.operation);
  if (operation == nullptr) return;
  if (!operation->request.lease || !operation->has_all || operation->is_check_asked)
    world_.violation(number_, command.operation, " checks its lease out of turn");
  operation->is_check_asked = true;
  const Time longest =
      world_.random.chance(5) ? Time(milliseconds(300)) : microseconds(20);
  world_.events.after(world_.random.up_to(longest),
                      [this, operation] { read_lease_word(*operation); });
}

void Node::read_lease_word(Initiated& operation) {
  std::optional<Failure> failure;
  bool is_valid = false;
  if (world_.network.is_up(operation.request.peer)) {
    const Exposed& target = target_of(operation);
    is_valid =
        target.is_lease_valid && target.request.token == operation.request.lease->token;
  } else if (world_.random.chance(50)) {
    return;  // never answered; the loss of the peer will be
  } else {
    failure = Failure{ErrorKind::kDisconnected, "the word cannot be read"};
  }
  world_.events.after(world_.random.up_to(microseconds(20)),
                      [this, &operation, is_valid, failure] {
                        if (!is_alive_) return;
                        operation.is_lease_found_valid = is_valid;
                        engine_.lease_checked(operation.request.operation, is_valid,
                                              failure, world_.events.now());
                        pump();
                        if (!operation.is_finished)
                          world_.violation(number_, operation.request.operation,
                                           " goes on after its lease was checked");
                      });
}

void Node::carry_out(const EndLease& command) {
  for (auto& [id, operation] : exposed_) {
    if (operation.request.lease != command.lease) continue;
    if (!operation.is_lease_valid || operation.is_finished)
      world_.violation(number_, "lease ", command.lease, " ends twice or too late");
    operation.is_lease_valid = false;
    if (!command.is_answered) return;
    if (operation.request.kind == OperationKind::kRead)
      world_.violation(number_, "lease ", command.lease, " is ended with an answer");
    world_.events.after(world_.random.up_to(microseconds(20)),
                        [this, lease = command.lease] {
                          if (!is_alive_) return;
                          world_.network.take_all(number_);
                          engine_.lease_ended(lease);
                          pump();
                        });
    return;
  }
  world_.violation(number_, "lease ", command.lease, " is unknown");
}

void Node::carry_out(const LookAtLease& command) {
  Initiated* operation = live_initiated(command.operation);
  if (operation == nullptr) return;
  if (operation->was_started || operation->attaches != 1)
    world_.violation(number_, command.operation, " looks at its lease out of turn");
  if (!world_.network.is_up(operation->request.peer)) return;  // nor has it arrived
  if (world_.random.chance(50)) return look_at_lease(*operation);
  world_.events.after(world_.random.up_to(microseconds(100)), [this, operation] {
    look_at_lease(*operation);
    pump();
  });
}

void Node::look_at_lease(Initiated& operation) {
  const Exposed& target = target_of(operation);
  if (!is_alive_ || !target.is_lease_valid ||
      target.request.token != operation.request.lease->token)
    return;
  operation.is_early = !operation.was_started && !operation.is_finished;
  if (operation.is_early) ++world_.journal.coverage.writes_early;
  engine_.lease_seen(operation.request.operation, world_.events.now());
}

void Node::carry_out(const Notify& command) {
  ++notifications_;
  const std::size_t node = world_.network.node_of(command.peer);
  if (!world_.nodes[node]->is_genuine())
    world_.violation(number_, "notifies a peer of ours");
  world_.network.send(command.peer, [this, node, key = command.key](PeerId) {
    world_.nodes[node]->receive_notification(key);
  });
}

void Node::carry_out(const Send& command) {
  if (world_.network.is_loss_known(command.peer) &&
      !std::holds_alternative<wire::Revoke>(command.body))
    world_.violation(number_, "sends to a lost peer");
  check_own(command.body);
  const auto* attach = std::get_if<wire::Attach>(&command.body);
  if (attach != nullptr && wire::needs_grant(attach->access) && !command.is_awaited)
    ++(attach->access == wire::AccessKind::kWrite
           ? world_.journal.coverage.writes_joined
           : world_.journal.coverage.views_joined);
  const std::size_t node = world_.network.node_of(command.peer);
  world_.network.send(command.peer, [this, node, body = command.body](PeerId sender) {
    world_.nodes[node]->receive(sender, body);
  });
}

void Node::check_own(const wire::ControlBody& message) {
  if (const auto* attach = std::get_if<wire::Attach>(&message)) {
    if (Initiated* operation = live_initiated(attach->operation)) ++operation->attaches;
  } else if (const auto* done = std::get_if<wire::Done>(&message)) {
    Initiated* operation = live_initiated(done->operation);
    if (operation == nullptr) return;
    ++operation->dones;
    if (operation->is_running)
      world_.violation(number_, done->operation, " is told to be done but runs");
    end_view(*operation);
  }
}

void Node::carry_out(const DropPeer& command) {
  ++world_.journal.coverage.peers_dropped;
  if (world_.network.is_loss_known(command.peer))
    world_.violation(number_, "drops a lost peer");
  // Closing would tell the peer that nobody looks at its memory any more.
  if (!has_open_view_of(command.peer)) return world_.network.close(command.peer);
  ++world_.journal.coverage.views_of_dropped;
  world_.network.leave(command.peer);
}

void Node::carry_out(const Progress& command) {
  const auto found = exposed_.find(command.operation);
  if (found == exposed_.end() || found->second.is_finished)
    world_.violation(number_, "progress of ", command.operation, ", which is not live");
}

void Node::carry_out(const Succeed& command) {
  if (initiated_.count(command.operation) > 0) {
    Initiated* view = live_initiated(command.operation);
    if (view != nullptr) open_view(*view);
    return;
  }
  Exposed& operation = exposed_.at(command.operation);
  ++world_.journal.coverage.stayed_open;
  if (!operation.request.stays_open || operation.has_succeeded ||
      operation.is_finished || !operation.is_lease_valid ||
      operation.peers_complete < operation.request.readers)
    world_.violation(number_, command.operation, " succeeds out of place");
  operation.has_succeeded = true;
}

void Node::carry_out(const Recall& command) {
  Initiated* operation = live_initiated(command.operation);
  if (operation == nullptr) return;
  ++world_.journal.coverage.views_recalled;
  if (!operation->is_open)
    world_.violation(number_, command.operation, " is recalled but not open");
}

void Node::carry_out(const Finish& command) {
  check_outcome(command.operation, command.outcome);
  --live_operations_;
  if (const auto found = exposed_.find(command.operation); found != exposed_.end()) {
    finish_exposed(found->second, command.outcome);
  } else if (Initiated* operation = live_initiated(command.operation)) {
    finish_initiated(*operation, command.outcome);
  }
  notifications_ = 0;
}

void Node::check_outcome(OperationId operation, const Outcome& outcome) {
  const bool is_errored = outcome.status == OperationStatus::kErrored;
  if (!is_terminal(outcome.status) || outcome.failure.has_value() != is_errored)
    world_.violation(number_, operation, " ends as ", describe(outcome));
  Coverage& coverage = world_.journal.coverage;
  if (outcome.status == OperationStatus::kCancelled) ++coverage.cancelled;
  if (!is_errored) return;
  if (outcome.failure->kind == ErrorKind::kDisconnected) ++coverage.disconnected;
  if (outcome.failure->kind == ErrorKind::kTimedOut) ++coverage.timed_out;
  if (outcome.failure->kind == ErrorKind::kCancelled) ++coverage.given_up_by_peer;
}

void Node::finish_exposed(Exposed& operation, const Outcome& outcome) {
  const OperationId id = operation.request.operation;
  if (operation.is_finished) world_.violation(number_, id, " finishes twice");
  if (operation.has_succeeded && outcome.status != OperationStatus::kComplete)
    world_.violation(number_, id, " was COMPLETE and ends as ", describe(outcome));
  if (operation.is_lease_valid)
    world_.violation(number_, id, " finishes before its lease has ended");
  if (outcome.status == OperationStatus::kCancelled && !operation.is_cancelled)
    world_.violation(number_, id,
                     " ends as CANCELLED, though nobody cancelled it here");
  if (outcome.status == OperationStatus::kComplete) {
    const bool is_readable = operation.request.kind == OperationKind::kRead;
    ++(is_readable ? world_.journal.coverage.readables_complete
                   : world_.journal.coverage.writables_complete);
    if (operation.peers_complete < operation.request.readers)
      world_.violation(number_, id, " is COMPLETE after ", operation.peers_complete,
                       " of ", operation.request.readers);
  }
  if (is_viewed(operation))
    world_.violation(number_, id, " finishes while somebody has a view of it");
  operation.is_finished = true;
  for (Cell& cell : operation.cells)
    cell = ++world_.last_cell;  // used for other things
}

void Node::finish_initiated(Initiated& operation, const Outcome& outcome) {
  const OperationId id = operation.request.operation;
  const bool is_complete = outcome.status == OperationStatus::kComplete;
  const bool is_read = operation.request.access == wire::AccessKind::kRead;
  const bool has_lease = operation.request.lease.has_value();
  const bool is_reachable = !world_.network.is_loss_known(operation.request.peer);
  end_view(operation);
  operation.is_finished = true;
  operation.end = world_.events.now();
  if (operation.is_running)
    world_.violation(number_, id, " finishes while its transfer runs");
  if (operation.attaches > 1 || operation.dones > operation.attaches ||
      (is_reachable && operation.dones < operation.attaches))
    world_.violation(number_, id, " sent ", operation.attaches, " Attach and ",
                     operation.dones, " Done");
  if (notifications_ != (is_complete && !has_lease ? 1 : 0))
    world_.violation(number_, id, " sent ", notifications_, " notifications");
  if (is_read && has_lease && operation.has_all && !operation.is_lease_found_valid)
    ++world_.journal.coverage.stale_reads_refused;
  if (is_complete) count_success(operation);
}

void Node::count_success(const Initiated& operation) {
  const OperationId id = operation.request.operation;
  const wire::AccessKind access = operation.request.access;
  Coverage& coverage = world_.journal.coverage;
  ++(access == wire::AccessKind::kRead    ? coverage.reads_complete
     : access == wire::AccessKind::kWrite ? coverage.writes_complete
                                          : coverage.views_complete);
  if (!operation.has_all)
    world_.violation(number_, id, " is COMPLETE without all bytes");
  Exposed& target = target_of(operation);
  const bool is_write = access == wire::AccessKind::kWrite;
  if (is_write != (target.request.kind == OperationKind::kWrite)) return;
  ++target.peers_complete;
  if (access == wire::AccessKind::kRead && operation.cells != target.original)
    world_.violation(number_, id, " is COMPLETE with wrong bytes");
}

}  // namespace nixl_connect::core::simulation
