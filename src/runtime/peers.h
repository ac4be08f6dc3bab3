// SPDX-License-Identifier: Apache-2.0
//
// The processes that this Connector talks to, and the connections to each. Used by
// whoever has the turn.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/ptrace_permission.h"
#include "core/commands.h"
#include "paths/ucx/endpoint.h"
#include "paths/ucx/worker.h"
#include "runtime/local_channels.h"
#include "runtime/remote_agent.h"
#include "runtime/remote_leases.h"
#include "runtime/remote_memory.h"
#include "wire/control.h"

namespace nixl_connect::runtime {

struct Peer {
  core::PeerId id = 0;
  std::string agent;                          // its NIXL agent name, as last seen
  std::optional<wire::InstanceId> instance;   // of a peer of ours
  std::optional<wire::ProcessId> process_id;  // if it has told
  base::Bytes connection;                     // its worker address; tells peers apart
  paths::ucx::Endpoint* endpoint = nullptr;   // null until it is needed
  // The same for memory of GPUs: from workers of our own for that, to workers of the
  // peer, by their addresses.
  std::map<std::pair<paths::ucx::Worker*, base::Bytes>, paths::ucx::Endpoint*>
      gpu_endpoints;
  LocalChannel* channel = nullptr;  // to one of ours on this host
  RemoteLeases leases;              // of a peer of ours on this host
  RemoteMemory memory;              // the same
  bool is_cma_tried = false;        // the kernel was asked
  // Why the kernel refuses host.cma; null if it does not.
  std::shared_ptr<const base::Refusal> cma_refusal;
  bool is_slowness_told = false;  // that it is on this host, but uses UCX
  bool knows_us = false;          // we have sent it a Hello
  bool greeted_us = false;        // it has sent us a Hello
  bool has_granted = false;       // so it hears what we send over the channel
  bool is_lost = false;           // see Peers
  bool has_left = false;          // the same

  // Its process, as the kernel has shown it to be the peer. Nothing on other hosts.
  std::optional<std::uint32_t> pid() const noexcept {
    if (channel != nullptr && channel->pid > 0)
      return static_cast<std::uint32_t>(channel->pid);
    return leases.pid();
  }

  // As imported memory of its GPUs is known by; nothing of a genuine NIXL agent.
  std::optional<wire::ProcessId> owner() const noexcept {
    return process_id ? process_id : instance;
  }

  bool is_in_this_process() const noexcept;

  // The kernel has refused host.cma: finds out why, once.
  void set_cma_refused();
};

// A peer that is lost may live, and on this host it may go on using our memory, and we
// its. So it stays here until both are over. Each side tells by the end of its channel
// that it does not use the memory of the other any more: then it has left.
class Peers {
 public:
  struct Handlers {
    // This process itself is using memory of the peer.
    std::function<bool(core::PeerId)> uses_memory_of;
    // The peer has been granted access to ours.
    std::function<bool(core::PeerId)> is_held_by;
    std::function<void(core::PeerId, const core::Failure&)> lost;
    // Its endpoint for memory of GPUs is to be closed.
    std::function<void(paths::ucx::Endpoint&)> close_gpu_endpoint;
    // It cannot touch our memory any more. Once, behind `lost`.
    std::function<void(core::PeerId)> left;
  };

  // `channels` may be null.
  Peers(paths::ucx::Worker& worker, LocalChannels* channels, Handlers handlers)
      : worker_(worker), channels_(channels), handlers_(std::move(handlers)) {}

  // The peer behind an agent's metadata. A known agent name with another connection
  // means that the process was restarted: the old peer is lost.
  Peer& meet(const RemoteAgent& agent);

  // The peer of ours that introduces itself. One that does so again has lost its old
  // connection, and so do we, though if that is a channel, at its end only: as long as
  // it is open, the process may still use our memory.
  Peer& meet(const wire::InstanceId& instance, const wire::Hello& hello);

  // Its endpoint, connected in the background if it has none yet. Throws what
  // Worker::connect throws, and a peer that has no local channel is lost then.
  paths::ucx::Endpoint& endpoint(Peer& peer);

  // The same on a worker for memory of GPUs, which outlives the peers, to one of the
  // peer's.
  paths::ucx::Endpoint& gpu_endpoint(Peer& peer, paths::ucx::Worker& worker,
                                     const base::Bytes& address);

  // Null if the peer is not known, or is lost.
  Peer* find(core::PeerId peer);
  Peer* find(const wire::InstanceId& instance);
  // Also one that is lost, as long as it stays here.
  Peer* find_even_lost(core::PeerId peer);

  template <typename Visit>
  void for_each(Visit&& visit) {
    for (auto& [id, peer] : peers_) visit(*peer);
  }

  // Closes the connection: the peer is lost, for the reason given. Unknown peers are
  // ignored.
  void drop(core::PeerId peer, const std::string& reason);
  void drop_all(const std::string& reason);

  // If it is lost: whether it may have left. Some access has ended, of ours or its own,
  // or its end of a channel.
  void see_if_left(core::PeerId peer);

 private:
  // Nobody finds it any more, but by its number.
  void retire(const Peer& peer);
  void set_instance(Peer& peer, const wire::InstanceId& instance);
  Peer& meet(const std::string& agent, const base::Bytes& connection);

  paths::ucx::Worker& worker_;
  LocalChannels* const channels_;
  const Handlers handlers_;
  core::PeerId last_id_ = 0;
  std::unordered_map<core::PeerId, std::unique_ptr<Peer>> peers_;
  std::map<base::Bytes, core::PeerId> by_connection_;
  std::unordered_map<std::string, core::PeerId> by_agent_;
  std::map<wire::InstanceId, core::PeerId> by_instance_;
};

}  // namespace nixl_connect::runtime
