// SPDX-License-Identifier: Apache-2.0
#include "runtime/outbox.h"

#include <utility>

#include "runtime/peers.h"
#include "wire/notification.h"

namespace nixl_connect::runtime {
namespace {

// A caller that spins on one small operation after the other leaves gaps of a
// microsecond or two, which are no time to rest.
constexpr core::Time kRest = std::chrono::microseconds(5);
constexpr core::Time kLongest = std::chrono::microseconds(500);
// Eager messages beyond this are cut into fragments.
constexpr std::size_t kFullBytes = 4096;
constexpr std::size_t kUsualBytes = 512;

}  // namespace

Outbox::Mail& Outbox::mail_to(core::PeerId peer, core::Time now) {
  if (held_.empty()) held_since_ = now;
  return held_[peer];
}

void Outbox::add(core::PeerId peer, const wire::ControlBody& body, core::Time now) {
  std::vector<base::Bytes>& payloads = mail_to(peer, now).control;
  if (payloads.empty() || payloads.back().size() >= kFullBytes)
    payloads.emplace_back().reserve(kUsualBytes);
  try {
    wire::append_to_payload(payloads.back(), {instance_, body});
  } catch (...) {
    if (payloads.back().empty()) payloads.pop_back();
    throw;
  }
}

void Outbox::add_notification(core::PeerId peer, base::Bytes payload, core::Time now) {
  mail_to(peer, now).notifications.push_back(std::move(payload));
}

void Outbox::send(core::PeerId peer, Mail& mail) {
  Peer* to = peers_.find_even_lost(peer);
  if (to == nullptr) return;
  for (base::Bytes& payload : mail.control)
    if (to->channel != nullptr)
      channels_->send(*to->channel, std::move(payload));
    else if (to->endpoint != nullptr)
      to->endpoint->send(wire::kControlMessageId, std::move(payload));
  for (base::Bytes& payload : mail.notifications)
    if (to->endpoint != nullptr)
      to->endpoint->send(wire::kNotificationMessageId, std::move(payload));
}

void Outbox::send(core::PeerId peer) {
  auto node = held_.extract(peer);
  if (!node.empty()) send(peer, node.mapped());
}

void Outbox::send_all() {
  for (auto& [peer, mail] : held_) send(peer, mail);
  held_.clear();
}

void Outbox::send_local() {
  for (auto at = held_.begin(); at != held_.end();) {
    const Peer* to = peers_.find(at->first);
    if (to != nullptr && to->channel == nullptr) {
      ++at;
      continue;
    }
    send(at->first, at->second);
    at = held_.erase(at);
  }
}

void Outbox::send_if_due(core::Time last_activity, core::Time now) {
  if (held_.empty()) return;
  if (now - last_activity >= kRest || now - held_since_ >= kLongest) send_all();
}

}  // namespace nixl_connect::runtime
