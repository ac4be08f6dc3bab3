// SPDX-License-Identifier: Apache-2.0
#include "runtime/peers.h"

#include <utility>
#include <vector>

#include "base/fork.h"
#include "base/log.h"

namespace nixl_connect::runtime {
namespace {

// Removes an entry unless it has come to name another peer meanwhile.
template <typename Map, typename Key>
void forget(Map& map, const Key& key, core::PeerId peer) {
  const auto found = map.find(key);
  if (found != map.end() && found->second == peer) map.erase(found);
}

bool has_instance_of(const Peer& peer, const RemoteAgent& agent) {
  return agent.extension() ? peer.instance == agent.extension()->instance
                           : !peer.instance.has_value();
}

}  // namespace

bool Peer::is_in_this_process() const noexcept {
  return pid() == static_cast<std::uint32_t>(base::process_id());
}

void Peer::set_cma_refused() {
  if (cma_refusal) return;
  const auto process = static_cast<pid_t>(pid().value_or(0));
  cma_refusal = std::make_shared<const base::Refusal>(
      base::explain_refusal(base::ptrace_facts(process)));
}

Peer& Peers::meet(const RemoteAgent& agent) {
  const auto named = by_agent_.find(agent.name());
  if (named != by_agent_.end()) {
    Peer& known = *peers_.at(named->second);
    const bool is_same = known.connection == agent.connection();
    if (is_same && has_instance_of(known, agent)) return known;
    if (!is_same)
      drop(known.id, "a process with another connection took over its agent name");
  }
  Peer& peer = meet(agent.name(), agent.connection());
  by_agent_[agent.name()] = peer.id;
  if (agent.extension()) set_instance(peer, agent.extension()->instance);
  return peer;
}

Peer& Peers::meet(const wire::InstanceId& instance, const wire::Hello& hello) {
  const auto known = by_connection_.find(hello.connection);
  if (known != by_connection_.end() && peers_.at(known->second)->greeted_us) {
    const Peer& old = *peers_.at(known->second);
    if (channels_ != nullptr && channels_->has_open(old.id))
      retire(old);
    else
      drop(old.id, "it has connected anew");
  }
  Peer& peer = meet(hello.agent, hello.connection);
  set_instance(peer, instance);
  peer.greeted_us = true;
  return peer;
}

void Peers::set_instance(Peer& peer, const wire::InstanceId& instance) {
  if (peer.instance) forget(by_instance_, *peer.instance, peer.id);
  peer.instance = instance;
  by_instance_[instance] = peer.id;
}

Peer& Peers::meet(const std::string& agent, const base::Bytes& connection) {
  const auto known = by_connection_.find(connection);
  if (known != by_connection_.end()) {
    Peer& peer = *peers_.at(known->second);
    if (peer.agent != agent) forget(by_agent_, peer.agent, peer.id);
    peer.agent = agent;
    return peer;
  }
  auto peer = std::make_unique<Peer>();
  peer->id = ++last_id_;
  peer->agent = agent;
  peer->connection = connection;
  by_connection_[connection] = peer->id;
  return *(peers_[peer->id] = std::move(peer));
}

paths::ucx::Endpoint& Peers::endpoint(Peer& peer) {
  if (peer.endpoint != nullptr) return *peer.endpoint;
  const core::PeerId id = peer.id;
  try {
    peer.endpoint = &worker_.connect(
        peer.connection, [this, id](const std::string& cause) { drop(id, cause); });
  } catch (const Error& error) {
    if (peer.channel == nullptr) drop(id, error.what());
    throw;
  }
  return *peer.endpoint;
}

paths::ucx::Endpoint& Peers::gpu_endpoint(Peer& peer, paths::ucx::Worker& worker,
                                          const base::Bytes& address) {
  const std::pair key(&worker, address);
  const auto known = peer.gpu_endpoints.find(key);
  if (known != peer.gpu_endpoints.end()) return *known->second;
  // Two of an honest peer, to each of ours.
  constexpr std::size_t kMost = 8;
  if (peer.gpu_endpoints.size() == kMost)
    throw Error(ErrorKind::kNoResources,
                "peer " + peer.agent + " names too many worker addresses");
  paths::ucx::Endpoint& made = worker.connect(
      address, [this, id = peer.id](const std::string& cause) { drop(id, cause); });
  return *(peer.gpu_endpoints[key] = &made);
}

Peer* Peers::find(core::PeerId id) {
  Peer* const peer = find_even_lost(id);
  return peer == nullptr || peer->is_lost ? nullptr : peer;
}

Peer* Peers::find(const wire::InstanceId& instance) {
  const auto found = by_instance_.find(instance);
  return found == by_instance_.end() ? nullptr : find(found->second);
}

Peer* Peers::find_even_lost(core::PeerId id) {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : found->second.get();
}

void Peers::drop(core::PeerId id, const std::string& reason) {
  Peer* const peer = find(id);
  if (peer == nullptr) return;
  peer->is_lost = true;
  retire(*peer);
  base::log_info("peer " + peer->agent + " is gone: " + reason);
  if (auto* const endpoint = std::exchange(peer->endpoint, nullptr))
    worker_.close(*endpoint);
  for (const auto& [key, endpoint] : std::exchange(peer->gpu_endpoints, {}))
    handlers_.close_gpu_endpoint(*endpoint);
  handlers_.lost(
      id, {ErrorKind::kDisconnected,
           "peer " + peer->agent + " is gone, or its memory is (" + reason + ")", id});
  see_if_left(id);
}

void Peers::see_if_left(core::PeerId id) {
  Peer* const peer = find_even_lost(id);
  if (peer == nullptr || !peer->is_lost) return;
  const bool is_used = channels_ != nullptr && handlers_.uses_memory_of(id);
  if (channels_ != nullptr && !is_used) {
    if (handlers_.is_held_by(id))
      channels_->hang_up_all_of(id);
    else
      channels_->close_all_of(id);
  }
  if (channels_ != nullptr && channels_->has_open(id)) return;
  if (!std::exchange(peer->has_left, true)) handlers_.left(id);
  if (!is_used) peers_.erase(id);
}

void Peers::retire(const Peer& peer) {
  forget(by_connection_, peer.connection, peer.id);
  forget(by_agent_, peer.agent, peer.id);
  if (peer.instance) forget(by_instance_, *peer.instance, peer.id);
}

void Peers::drop_all(const std::string& reason) {
  std::vector<core::PeerId> all;
  for (const auto& [id, peer] : peers_) all.push_back(id);
  for (const core::PeerId id : all) drop(id, reason);
}

}  // namespace nixl_connect::runtime
