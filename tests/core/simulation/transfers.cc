// SPDX-License-Identifier: Apache-2.0
//
// Node: transfers, piece by piece, each touching both memories at its own moment.
#include <utility>

#include "simulation/node.h"
#include "simulation/world.h"

namespace nixl_connect::core::simulation {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

}  // namespace

void Node::start(Initiated& operation) {
  operation.was_started = true;
  operation.is_running = true;
  const bool is_inline = world_.random.chance(10);
  if (!is_inline || !world_.network.carries_bytes(operation.request.peer)) {
    schedule_piece(operation);
    return;
  }
  while (operation.pieces_moved < operation.cells.size()) touch_memory(operation);
  end_transfer(operation, std::nullopt);
}

void Node::schedule_piece(Initiated& operation) {
  const bool is_stuck = world_.random.chance(4);
  const Time longest = is_stuck ? Time(milliseconds(1000)) : microseconds(30);
  world_.events.after(world_.random.up_to(longest),
                      [this, &operation] { move_piece(operation); });
}

void Node::move_piece(Initiated& operation) {
  if (!is_alive_ || !operation.is_running) return;
  // Otherwise the loss of the connection will end the transfer.
  if (!world_.network.carries_bytes(operation.request.peer)) return;
  const Time delay = world_.random.up_to(microseconds(20));
  if (world_.random.chance(2)) {
    end_transfer_after(delay, operation, {ErrorKind::kInternal, "the network failed"});
    return;
  }
  if (operation.pieces_moved < operation.cells.size()) touch_memory(operation);
  if (operation.pieces_moved == operation.cells.size()) {
    world_.events.after(delay,
                        [this, &operation] { end_transfer(operation, std::nullopt); });
  } else if (operation.is_stopped) {
    end_transfer_after(delay, operation, {ErrorKind::kCancelled, "stopped"});
  } else {
    schedule_piece(operation);
  }
}

void Node::touch_memory(Initiated& operation) {
  const OperationId id = operation.request.operation;
  if (operation.is_finished)
    world_.violation(number_, id, " touches local memory after its end");
  Exposed& target = target_of(operation);
  Cell& here = operation.cells[operation.pieces_moved];
  Cell& there = target.cells[operation.pieces_moved];
  ++operation.pieces_moved;
  if (operation.request.access == wire::AccessKind::kRead) {
    if (target.is_finished) ++world_.journal.coverage.reads_past_finish;
    here = there;
    return;
  }
  if (!is_genuine_ && target.is_finished)
    world_.violation(number_, id, " writes to memory that is used anew");
  if (!is_genuine_ && target.request.kind == OperationKind::kRead)
    world_.violation(number_, id, " writes to readable memory");
  if (operation.request.lease && operation.request.lease->token != target.request.token)
    world_.violation(number_, id, " writes with a wrong token");
  there = here;
}

void Node::end_transfer(Initiated& operation, std::optional<Failure> failure) {
  if (!is_alive_ || !operation.is_running) return;
  operation.is_running = false;
  operation.has_all = !failure.has_value();
  if (is_genuine_) {
    end_genuine_transfer(operation, operation.has_all);
    return;
  }
  const std::uint64_t bytes = operation.pieces_moved * sizeof(Cell);
  world_.trace(number_, "transfer ", operation.request.operation, " ends after ", bytes,
               " bytes, ", failure ? failure->message : "all");
  engine_.transfer_ended(operation.request.operation, std::move(failure), bytes, "toy",
                         world_.events.now());
  pump();
}

void Node::end_transfer_after(Time delay, Initiated& operation,
                              const Failure& failure) {
  world_.events.after(
      delay, [this, &operation, failure] { end_transfer(operation, failure); });
}

void Node::end_genuine_transfer(Initiated& operation, bool is_success) {
  operation.is_finished = true;
  if (!is_success || !world_.random.chance(80)) return;
  ++target_of(operation).peers_complete;
  const Offer& offer = world_.offers[operation.offer];
  world_.network.send(operation.request.peer,
                      [this, node = offer.node, key = offer.notification_key](PeerId) {
                        world_.nodes[node]->receive_notification(key);
                      });
}

}  // namespace nixl_connect::core::simulation
