// SPDX-License-Identifier: Apache-2.0
//
// Connections between simulated processes: delays, order within a direction of a
// connection, loss. A connection that is down carries no messages any more, and no
// memory accesses either, unless it is local: then each end goes on with what it does
// until it learns of the loss, at a time of its own; and what was sent before it broke
// waits at the other end, which may take it. A new attempt makes a new connection with
// new peer ids. No threads.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/commands.h"

namespace nixl_connect::core::simulation {

struct World;

class Network {
 public:
  explicit Network(World& world) : world_(world) {}

  // The id under which node `from` reaches node `to`. It is that of the last connection
  // until `from` has learnt of its loss.
  PeerId connect(std::size_t from, std::size_t to);

  // A peer of `node` whose loss it knows.
  std::optional<PeerId> lost_peer(std::size_t node) const;

  std::size_t node_of(PeerId peer) const { return at(peer).ends[end_of(peer)]; }
  // The id under which the peer knows the node that uses this one.
  PeerId back(PeerId peer) const {
    const bool is_to_self = at(peer).ends[0] == at(peer).ends[1];
    return is_to_self ? peer : id_of((peer - 1) / 2, holder(peer));
  }
  bool is_up(PeerId peer) const { return at(peer).is_up; }
  bool is_local(PeerId peer) const { return at(peer).is_local; }
  bool carries_bytes(PeerId peer) const { return is_up(peer) || is_local(peer); }
  // To the node that uses this id.
  bool is_loss_known(PeerId peer) const { return at(peer).is_loss_known[holder(peer)]; }

  void note_loss(PeerId peer) { at(peer).is_loss_known[holder(peer)] = true; }

  // Runs `arrive` with the sender's id, as the receiver knows it, unless the connection
  // breaks before.
  void send(PeerId to, std::function<void(PeerId sender)> arrive);

  // What waits at that node, from local peers, or from that one, arrives now.
  void take_all(std::size_t node);
  void take_from(PeerId peer);

  // Breaks the connection; the ends learn of it later.
  void cut(PeerId peer);
  // The same on behalf of the node that uses this id, which learns of it soon.
  void close(PeerId peer);
  // That node takes the peer for lost, soon, but leaves the connection as it is.
  void leave(PeerId peer);
  void cut_any();
  void cut_all_of(std::size_t node);

 private:
  struct Message {
    std::function<void(PeerId sender)> arrive;
    PeerId sender = 0;  // as the receiver knows it
    bool has_arrived = false;
  };
  struct Connection {
    std::array<std::size_t, 2> ends;  // equal: of a node with itself
    bool is_local = false;
    bool is_up = true;
    std::array<bool, 2> is_loss_known{};
    std::array<Time, 2> last_arrival{};
    std::array<std::deque<std::shared_ptr<Message>>, 2> waiting{};  // at each end
  };

  // An id names a connection and which end of it the peer is.
  static std::size_t end_of(PeerId peer) { return (peer - 1) % 2; }
  static std::size_t holder(PeerId peer) { return 1 - end_of(peer); }
  static PeerId id_of(std::size_t connection, std::size_t end) {
    return connection * 2 + end + 1;
  }
  Connection& at(PeerId peer) { return connections_[(peer - 1) / 2]; }
  const Connection& at(PeerId peer) const { return connections_[(peer - 1) / 2]; }

  static void deliver(Message& message);
  void tell_loss_after(Time delay, PeerId peer);

  World& world_;
  std::vector<Connection> connections_;
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> latest_;
};

}  // namespace nixl_connect::core::simulation
