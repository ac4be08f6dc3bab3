// SPDX-License-Identifier: Apache-2.0
//
// Bodies of Network.
#include "simulation/network.h"

#include <algorithm>

#include "simulation/node.h"
#include "simulation/world.h"

namespace nixl_connect::core::simulation {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

}  // namespace

PeerId Network::connect(std::size_t from, std::size_t to) {
  const auto pair = std::minmax(from, to);
  const std::size_t end_of_to = to == pair.second ? 1 : 0;
  const auto found = latest_.find(pair);
  if (found != latest_.end()) {
    const PeerId peer = id_of(found->second, end_of_to);
    if (!is_loss_known(peer)) return peer;
  }
  latest_[pair] = connections_.size();
  connections_.push_back({{pair.first, pair.second}, world_.random.chance(50)});
  const PeerId peer = id_of(connections_.size() - 1, end_of_to);
  if (!world_.nodes[to]->is_alive()) cut(peer);
  return peer;
}

std::optional<PeerId> Network::lost_peer(std::size_t node) const {
  for (std::size_t i = 0; i < connections_.size(); ++i)
    for (const std::size_t end : {0, 1})
      if (connections_[i].ends[1 - end] == node &&
          connections_[i].is_loss_known[1 - end])
        return id_of(i, end);
  return std::nullopt;
}

void Network::send(PeerId to, std::function<void(PeerId sender)> arrive) {
  Connection& connection = at(to);
  const std::size_t end = end_of(to);
  const Time longest =
      world_.random.chance(5) ? Time(milliseconds(5)) : microseconds(50);
  Time& last = connection.last_arrival[end];
  last = std::max(last, world_.events.now() + world_.random.up_to(longest)) + Time(1);
  auto message = std::make_shared<Message>(Message{std::move(arrive), back(to)});
  if (connection.is_local && connection.is_up)
    connection.waiting[end].push_back(message);
  world_.events.at(last, [this, to, message = std::move(message)] {
    if (is_up(to)) deliver(*message);
  });
}

void Network::deliver(Message& message) {
  if (!std::exchange(message.has_arrived, true)) message.arrive(message.sender);
}

void Network::take_from(PeerId peer) {
  // Not held: what arrives may make further connections.
  const auto waiting = [ this, peer ]() -> auto& {
    return at(peer).waiting[end_of(back(peer))];
  };
  while (!waiting().empty()) {
    const auto message = std::move(waiting().front());
    waiting().pop_front();
    deliver(*message);
  }
}

void Network::take_all(std::size_t node) {
  for (std::size_t i = 0; i < connections_.size(); ++i)
    for (const std::size_t end : {0, 1})
      if (connections_[i].ends[1 - end] == node) take_from(id_of(i, end));
}

void Network::cut(PeerId peer) {
  Connection& connection = at(peer);
  if (!connection.is_up) return;
  connection.is_up = false;
  world_.journal.trace(world_.events.now().count(), " connection of nodes ",
                       connection.ends[0], " and ", connection.ends[1], " breaks");
  const bool is_of_two = connection.ends[0] != connection.ends[1];
  for (const std::size_t end : {0, 1}) {
    const bool is_slow = world_.random.chance(20);
    const Time longest = is_slow ? milliseconds(2000) : milliseconds(2);
    if (end == 1 || is_of_two)
      tell_loss_after(world_.random.up_to(longest), id_of((peer - 1) / 2, end));
  }
}

void Network::close(PeerId peer) {
  cut(peer);
  leave(peer);
}

void Network::leave(PeerId peer) {
  tell_loss_after(world_.random.up_to(microseconds(100)), peer);
}

void Network::cut_any() {
  if (connections_.empty()) return;
  cut(id_of(world_.random.below(connections_.size()), 0));
}

void Network::cut_all_of(std::size_t node) {
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    const auto& ends = connections_[i].ends;
    if (ends[0] == node || ends[1] == node) cut(id_of(i, 0));
  }
}

void Network::tell_loss_after(Time delay, PeerId peer) {
  world_.events.after(delay, [this, peer] {
    if (!is_loss_known(peer)) world_.nodes[at(peer).ends[holder(peer)]]->lose(peer);
  });
}

}  // namespace nixl_connect::core::simulation
