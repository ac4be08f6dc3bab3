// SPDX-License-Identifier: Apache-2.0
//
// Messages from and to peers. What a peer sends is hostile until decoded; what cannot
// be understood is dropped, since nobody waits for an answer to it.
#include "base/log.h"
#include "nixl_connect/connector.h"
#include "runtime/dispatcher.h"
#include "runtime/exports.h"
#include "runtime/gpu_exports.h"
#include "wire/control.h"
#include "wire/notification.h"

namespace nixl_connect::runtime {

// Both take the mail first: an operation may have been exposed, and its metadata have
// reached the peer, since the last look.

void Dispatcher::notification_arrived(base::BytesView payload) noexcept {
  heard_message_ = true;
  try {
    take_mail();
    core_.notification_arrived(wire::decode_notification(payload).message, time_);
  } catch (const std::exception& error) {
    base::log_warning(std::string("a notification was dropped: ") + error.what());
  }
}

void Dispatcher::control_arrived(LocalChannel* channel, base::BytesView payload,
                                 base::UniqueFd file) noexcept {
  heard_message_ = true;
  try {
    take_mail();
    const auto messages = wire::split_payload(payload);
    if (messages.size() != 1) file = {};  // nobody can tell whose it is
    for (const base::BytesView message : messages)
      handle_control(channel, message, file);
  } catch (const std::exception& error) {
    base::log_warning(std::string("control messages were dropped: ") + error.what());
  }
}

// One that cannot be understood, of a newer version perhaps, takes no other with it.
void Dispatcher::handle_control(LocalChannel* channel, base::BytesView encoded,
                                base::UniqueFd& file) noexcept {
  try {
    receive(channel, wire::decode_control(encoded), file);
  } catch (const std::exception& error) {
    base::log_warning(std::string("a control message was dropped: ") + error.what());
  }
}

void Dispatcher::receive(LocalChannel* channel, const wire::ControlMessage& message,
                         base::UniqueFd& file) {
  if (const auto* hello = std::get_if<wire::Hello>(&message.body))
    return receive(channel, message.sender, *hello);
  // Each end of a channel speaks for itself only, also of a peer that has come anew by
  // another one, or is lost.
  Peer* const peer = channel != nullptr ? peers_.find_even_lost(channel->peer)
                                        : peers_.find(message.sender);
  if (peer == nullptr || peer->instance != message.sender)
    return base::log_debug("a control message of an unknown peer was dropped");
  if (const auto* region = std::get_if<wire::FetchedRegion>(&message.body)) {
    if (!peer->is_lost) fetches_.arrived(*peer, *region, file, time_);
  } else if (const auto* fetch = std::get_if<wire::Fetch>(&message.body)) {
    if (channel != nullptr && peer->greeted_us) answer(*channel, *fetch);
  } else if (const auto* asked = std::get_if<wire::AskKeys>(&message.body)) {
    if (!peer->is_lost) answer(peer->id, *asked);
  } else if (const auto* keys = std::get_if<wire::Keys>(&message.body)) {
    if (!peer->is_lost) asked_keys_.arrived(peer->id, *keys, time_);
  } else if (const auto* serve = std::get_if<wire::Serve>(&message.body)) {
    if (channel != nullptr && peer->greeted_us && !peer->is_lost)
      receive(*peer, *serve);
  } else if (const auto* refused = std::get_if<wire::NotServed>(&message.body)) {
    not_served(peer->id, *refused);
  } else {
    if (std::holds_alternative<wire::Grant>(message.body)) peer->has_granted = true;
    core_.message_arrived(peer->id, message.body, time_);
    peers_.see_if_left(peer->id);
  }
}

// What finds no room waits for it, as a request: no files pile up for a peer that does
// not take them.
void Dispatcher::answer(LocalChannel& channel, const wire::Fetch& fetch) {
  constexpr std::size_t kMostUnanswered = Fetches::kMostAsked;
  if (hand_over(channel, fetch)) return;
  if (channel.unanswered.size() < kMostUnanswered)
    channel.unanswered.push_back(fetch);
  else
    refuse(channel, fetch);
}

void Dispatcher::answer_rest(LocalChannel& channel) {
  std::vector<wire::Fetch>& rest = channel.unanswered;
  const auto left = std::find_if(rest.begin(), rest.end(), [&](const auto& fetch) {
    return !hand_over(channel, fetch);
  });
  rest.erase(rest.begin(), left);
}

// False if there is no room for a file now.
bool Dispatcher::hand_over(LocalChannel& channel, const wire::Fetch& fetch) {
  using Result = base::LocalSocket::Result;
  const base::UniqueFd file = file_for(fetch);
  base::Bytes payload;
  wire::append_to_payload(payload,
                          {resources_.instance, wire::FetchedRegion{fetch.what, true}});
  const Result result = file.get() < 0
                            ? Result::kRefused
                            : channels_->send_file(channel, payload, file.get());
  if (result == Result::kRefused) refuse(channel, fetch);
  return result != Result::kNotNow;
}

base::UniqueFd Dispatcher::file_for(const wire::Fetch& fetch) {
  if (!wire::is_gpu_chunk(fetch.what))
    return runtime::file_for(fetch, resources_.leases);
  const auto operation = gpu_leases_.find(fetch.lease);
  const auto running = operation == gpu_leases_.end()
                           ? running_.end()
                           : running_.find(operation->second);
  if (running == running_.end()) return {};
  return gpu_file_for(fetch, resources_.leases, running->second.registrations,
                      resources_.gpus);
}

void Dispatcher::refuse(LocalChannel& channel, const wire::Fetch& fetch) {
  base::Bytes payload;
  wire::append_to_payload(
      payload, {resources_.instance, wire::FetchedRegion{fetch.what, false}});
  channels_->send(channel, std::move(payload));
}

void Dispatcher::receive(LocalChannel* channel, const wire::InstanceId& sender,
                         const wire::Hello& hello) {
  if (is_closing_ || (channel != nullptr && channel->is_closed)) return;
  if (channel != nullptr && channel->peer != 0) {
    const Peer* known = peers_.find(channel->peer);
    if (known == nullptr || known->greeted_us || known->instance != sender ||
        known->connection != hello.connection)
      return peers_.drop(channel->peer, "it has introduced itself twice");
  }
  Peer& peer = peers_.meet(sender, hello);
  if (channel != nullptr) {
    channel->peer = peer.id;
    tracing_permission_.came(peer.id, channel->pid);
    // Messages that we have sent by UCX must not be overtaken.
    if (peer.channel == nullptr && !peer.knows_us) peer.channel = channel;
  } else {
    peers_.endpoint(peer);
  }
  base::log_info("peer " + hello.agent + " connected" +
                 (channel != nullptr ? " on this host" : "") + ": nixl-connect " +
                 hello.library_version + " on UCX " + hello.ucx_version);
}

void Dispatcher::channel_ended(LocalChannel& channel) {
  constexpr std::size_t kMostClosed = 64;
  // It has no room for us, perhaps: UCX takes us there the next time.
  if (!channel.has_heard && !channel.has_hung_up &&
      channel.opened_to != wire::InstanceId{}) {
    closed_to_us_.push_back(channel.opened_to);
    if (closed_to_us_.size() > kMostClosed) closed_to_us_.pop_front();
  }
  if (channel.peer == 0) return channels_->hang_up(channel);
  if (Peer* const peer = peers_.find_even_lost(channel.peer);
      peer != nullptr && peer->channel == &channel)
    peer->channel = nullptr;
  peers_.drop(channel.peer, "its process or its Connector has ended");
  peers_.see_if_left(channel.peer);
}

bool Dispatcher::has_closed_to_us(const wire::InstanceId& instance) const {
  return std::count(closed_to_us_.begin(), closed_to_us_.end(), instance) > 0;
}

bool Dispatcher::listen_to_local_peers() {
  // A look is a system call, and turns come one after the other.
  constexpr core::Time kBetweenLooks = std::chrono::microseconds(5);
  if (!channels_ || time_ - last_look_ < kBetweenLooks) return false;
  last_look_ = time_;
  return channels_->progress();
}

// Who asks to be served is known, whatever else the metadata says.
Peer& Dispatcher::connect(const BeginRequest& request) {
  const core::OperationId operation = request.state->identity().id;
  if (!Servings::is_mine(operation)) return connect(*request.agent);
  Peer& peer = *peers_.find(servings_.peer_of(operation));
  greet(peer, *request.agent->extension());
  return peer;
}

Peer& Dispatcher::connect(const RemoteAgent& agent) {
  Peer& peer = peers_.meet(agent);
  if (agent.extension()) {
    if (agent.extension()->process) peer.process_id = agent.extension()->process;
    greet(peer, *agent.extension());
  }
  if (peer.channel == nullptr) peers_.endpoint(peer);
  return peer;
}

void Dispatcher::greet(Peer& peer, const wire::Extension& extension) {
  if (peer.knows_us) return;
  peer.knows_us = true;
  peer.leases.open(extension);
  if (channels_ && peer.channel == nullptr && !has_closed_to_us(extension.instance)) {
    peer.channel = channels_->connect(extension.instance);
    if (peer.channel != nullptr) peer.channel->peer = peer.id;
  }
  outbox_.add(peer.id,
              wire::Hello{resources_.registrations.agent_name(), worker_.address(),
                          std::string(version()), resources_.context.library().version},
              time_);
  fetches_.ask_for_leases(peer, extension, time_);
}

}  // namespace nixl_connect::runtime
