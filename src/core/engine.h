// SPDX-License-Identifier: Apache-2.0
//
// The logic of operations, leases, peers and deadlines without threads, system calls or
// memory access: calls, messages, completions and clock ticks go in, commands come out.
// Not thread-safe; the runtime calls it from one thread at a time, the tests from a
// simulator.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/agenda.h"
#include "core/commands.h"
#include "core/exposing.h"
#include "core/initiating.h"
#include "core/lost_peers.h"
#include "core/requests.h"

namespace nixl_connect::core {

class Engine {
 public:
  explicit Engine(Settings settings = {});
  ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Calls. A deadline at or before `now` ends the operation at once, and so does
  // begin() on a lost peer. cancel() of an unknown or finished operation does nothing.
  // expose() comes before any message that names its lease; a notification may be
  // earlier.
  void expose(const Exposure& exposure, Time now);
  void begin(const Transfer& transfer, Time now);
  void cancel(OperationId operation, Time now);

  // Messages. `peer` is whom the message came from; a peer is known from the first
  // mention on.
  void message_arrived(PeerId peer, const wire::ControlBody& message, Time now);
  void notification_arrived(const std::string& key, Time now);

  // Completions. `failure` empty: all bytes are where they belong.
  void transfer_ended(OperationId operation, std::optional<Failure> failure,
                      std::uint64_t bytes, std::string path, Time now);
  // `is_valid`: the word held the token after the data had arrived. A failed get of the
  // word is a failure.
  void lease_checked(OperationId operation, bool is_valid,
                     std::optional<Failure> failure, Time now);
  // A write whose Attach the peer cannot overlook may begin: it was no news that the
  // lease had ended.
  void lease_seen(OperationId operation, Time now);
  // The word is cleared, and what peers had sent before is known.
  void lease_ended(LeaseId lease);
  // Nothing will be heard of the peer any more, which decides the operations with it.
  // Transfers that still run end by their own transfer_ended().
  void peer_lost(PeerId peer, const Failure& failure, Time now);
  // Nor can it touch this process's memory any more, so nothing waits for that. Comes
  // right after peer_lost(), or later.
  void peer_left(PeerId peer);
  // Whether it has been granted access to memory that is exposed here, and has not said
  // that this is over, or may begin to write early. Otherwise it can touch none, or in
  // vain.
  bool is_held_by(PeerId peer) const {
    return exposing_.is_admitted(peer) || exposing_.is_held_by(peer);
  }
  // Whether it may begin to write before it is heard of.
  bool is_admitted(PeerId peer) const { return exposing_.is_admitted(peer); }

  // The clock. tick() is due at next_deadline(), kNever if nothing waits for time.
  void tick(Time now);
  Time next_deadline() const;

  // Commands in the order in which they must be carried out; empties the list. The
  // second form saves allocations: it replaces what `commands` held and keeps its
  // storage for later.
  [[nodiscard]] std::vector<Command> take_commands();
  void take_commands(std::vector<Command>& commands);

  // Operations not finished yet.
  std::size_t live_operations() const;

 private:
  Agenda agenda_;
  InitiatingSide initiating_;
  ExposingSide exposing_;
  LostPeers lost_peers_;
};

}  // namespace nixl_connect::core
