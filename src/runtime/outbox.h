// SPDX-License-Identifier: Apache-2.0
//
// Messages to peers that no transfer waits for. Handing one to UCX costs several times
// what a small read takes, so they are held until the thread has nothing better to do,
// for a bounded time, and those to one peer leave together. Used by whoever has the
// turn.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/terms.h"
#include "wire/control.h"

namespace nixl_connect::runtime {

class LocalChannels;
class Peers;
struct Peer;

class Outbox {
 public:
  // `channels` may be null.
  Outbox(Peers& peers, LocalChannels* channels, const wire::InstanceId& instance)
      : peers_(peers), channels_(channels), instance_(instance) {}

  // Control messages to one peer leave in the order in which they were added, as do
  // notifications. What is for a peer that is gone is dropped.
  void add(core::PeerId peer, const wire::ControlBody& body, core::Time now);
  void add_notification(core::PeerId peer, base::Bytes payload, core::Time now);

  // Hands out what is held for one peer, for some, for all, or for all if it is time:
  // nothing has happened on the thread since `last_activity` for a while, or it was
  // held for long.
  void send(core::PeerId peer);
  void send_all();
  void send_local();  // to peers that have a local channel
  void send_if_due(core::Time last_activity, core::Time now);

  bool is_empty() const noexcept { return held_.empty(); }

 private:
  struct Mail {
    std::vector<base::Bytes> control;  // payloads; the last one is being filled
    std::vector<base::Bytes> notifications;
  };

  Mail& mail_to(core::PeerId peer, core::Time now);
  void send(core::PeerId peer, Mail& mail);

  Peers& peers_;
  LocalChannels* const channels_;
  const wire::InstanceId& instance_;
  std::unordered_map<core::PeerId, Mail> held_;
  core::Time held_since_{0};  // while anything is held
};

}  // namespace nixl_connect::runtime
