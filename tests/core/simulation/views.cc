// SPDX-License-Identifier: Apache-2.0
//
// Node: views, over local connections. Their user looks at the peer's memory now and
// then and closes them after a while; whoever exposes the memory must not use it anew
// before.
#include "simulation/node.h"
#include "simulation/world.h"

namespace nixl_connect::core::simulation {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr unsigned kMostLooks = 4;

}  // namespace

void Node::open_view(Initiated& operation) {
  const OperationId id = operation.request.operation;
  if (operation.is_open || operation.request.access != wire::AccessKind::kView)
    world_.violation(number_, id, " is opened out of place");
  operation.is_open = true;
  operation.has_all = true;
  look_now_and_then(operation);
}

void Node::look_now_and_then(Initiated& operation) {
  const bool is_slow = world_.random.chance(20);
  const Time longest = is_slow ? Time(milliseconds(300)) : microseconds(300);
  world_.events.after(world_.random.up_to(longest), [this, &operation] {
    if (!is_alive_ || !operation.is_open) return;
    look(operation);
    if (world_.random.chance(100 / kMostLooks))
      return cancel(operation.request.operation);
    look_now_and_then(operation);
  });
}

void Node::look(const Initiated& operation) {
  const OperationId id = operation.request.operation;
  const Exposed& target = target_of(operation);
  if (target.request.kind == OperationKind::kWrite)
    world_.violation(number_, id, " is a view of writable memory");
  if (operation.request.lease->token != target.request.token)
    world_.violation(number_, id, " is a view with a wrong token");
  if (target.cells != target.original)
    world_.violation(number_, id, " shows memory that is used anew");
}

void Node::end_view(Initiated& operation) {
  if (!operation.is_open) return;
  operation.is_open = false;
  const PeerId peer = operation.request.peer;
  // For its views alone the connection was left as it is.
  if (world_.network.is_loss_known(peer) && !has_open_view_of(peer))
    world_.network.cut(peer);
}

bool Node::is_viewed(const Exposed& operation) {
  for (const auto& node : world_.nodes)
    for (const auto& [id, view] : node->initiated_)
      if (view.is_open && &target_of(view) == &operation) return true;
  return false;
}

bool Node::may_hold(const Exposed& operation, Time since) {
  for (const auto& [id, view] : initiated_) {
    const PeerId peer = view.request.peer;
    if (view.request.access != wire::AccessKind::kView || view.attaches == 0 ||
        &target_of(view) != &operation)
      continue;
    // Of a connection that was left, its end alone tells of all views.
    const bool is_left = world_.network.is_loss_known(peer) && has_open_view_of(peer);
    if (!view.is_finished || view.end >= since || is_left ||
        !world_.network.is_up(peer))
      return true;
  }
  return false;
}

bool Node::has_open_view_of(PeerId peer) const {
  for (const auto& [id, operation] : initiated_)
    if (operation.is_open && operation.request.peer == peer) return true;
  return false;
}

}  // namespace nixl_connect::core::simulation
