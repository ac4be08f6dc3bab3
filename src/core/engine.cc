// SPDX-License-Identifier: Apache-2.0
//
// Bodies of Engine: hands each input to the side it concerns.
#include "core/engine.h"

#include <utility>
#include <variant>

#include "core/outcomes.h"

namespace nixl_connect::core {

Engine::Engine(Settings settings)
    : agenda_{settings.drain_timeout, {}, {}},
      initiating_(agenda_),
      exposing_(agenda_) {}

void Engine::expose(const Exposure& exposure, Time now) {
  exposing_.expose(exposure, now);
}

void Engine::begin(const Transfer& transfer, Time now) {
  if (lost_peers_.contains(transfer.peer)) {
    agenda_.add(Finish{transfer.operation, failed(ErrorKind::kDisconnected,
                                                  "the connection to the peer was lost "
                                                  "before the transfer began")});
    return;
  }
  initiating_.begin(transfer, now);
}

void Engine::cancel(OperationId operation, Time now) {
  if (!initiating_.cancel(operation, now)) exposing_.cancel(operation, now);
}

void Engine::message_arrived(PeerId peer, const wire::ControlBody& message, Time now) {
  const bool is_lost = lost_peers_.contains(peer);
  if (const auto* attach = std::get_if<wire::Attach>(&message)) {
    exposing_.attached(peer, *attach, is_lost, now);
  } else if (const auto* done = std::get_if<wire::Done>(&message)) {
    exposing_.done(peer, *done, now);
  } else if (is_lost) {
    return;  // our operations with it have ended
  } else if (const auto* grant = std::get_if<wire::Grant>(&message)) {
    initiating_.granted(peer, *grant, now);
  } else if (const auto* revoke = std::get_if<wire::Revoke>(&message)) {
    initiating_.revoked(peer, *revoke, now);
  }
}

void Engine::notification_arrived(const std::string& key, Time now) {
  exposing_.notification_arrived(key, now);
}

void Engine::transfer_ended(OperationId operation, std::optional<Failure> failure,
                            std::uint64_t bytes, std::string path, Time now) {
  initiating_.transfer_ended(operation, std::move(failure), bytes, std::move(path),
                             now);
}

void Engine::lease_checked(OperationId operation, bool is_valid,
                           std::optional<Failure> failure, Time now) {
  initiating_.lease_checked(operation, is_valid, std::move(failure), now);
}

void Engine::lease_seen(OperationId operation, Time now) {
  initiating_.lease_seen(operation, now);
}

void Engine::lease_ended(LeaseId lease) { exposing_.lease_ended(lease); }

void Engine::peer_lost(PeerId peer, const Failure& failure, Time now) {
  lost_peers_.add(peer);
  initiating_.peer_lost(peer, failure, now);
  exposing_.peer_lost(peer, failure, now);
}

void Engine::peer_left(PeerId peer) { exposing_.peer_left(peer); }

void Engine::tick(Time now) {
  while (const auto due = agenda_.deadlines.pop_due(now))
    if (!initiating_.time_came(*due, now)) exposing_.time_came(*due, now);
}

Time Engine::next_deadline() const { return agenda_.deadlines.next(); }

std::vector<Command> Engine::take_commands() {
  return std::exchange(agenda_.commands, {});
}

void Engine::take_commands(std::vector<Command>& commands) {
  commands.clear();
  commands.swap(agenda_.commands);
}

std::size_t Engine::live_operations() const {
  return initiating_.live_operations() + exposing_.live_operations();
}

}  // namespace nixl_connect::core
