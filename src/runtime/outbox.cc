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

}  // namespace

Outbox::Mail& Outbox::mail_to(core::PeerId peer, core::Time now) {
  if (held_.empty()) held_since_ = now;
  return held_[peer];
}

void Outbox::add(core::PeerId peer, wire::ControlBody body, core::Time now) {
  mail_to(peer, now).control.push_back(std::move(body));
}

void Outbox::add_notification(core::PeerId peer, base::Bytes payload, core::Time now) {
  mail_to(peer, now).notifications.push_back(std::move(payload));
}

void Outbox::send(core::PeerId peer, Mail& mail) {
  Peer* to = peers_.find(peer);
  if (to == nullptr) return;
  if (!mail.control.empty()) send_control(*to, mail.control);
  for (base::Bytes& payload : mail.notifications)
    to->endpoint->send(wire::kNotificationMessageId, std::move(payload));
}

void Outbox::send_control(Peer& to, const std::vector<wire::ControlBody>& bodies) {
  base::Bytes payload;
  for (const wire::ControlBody& body : bodies) {
    wire::append_to_payload(payload, {instance_, body});
    if (payload.size() < kFullBytes) continue;
    to.endpoint->send(wire::kControlMessageId, std::exchange(payload, {}));
  }
  if (!payload.empty()) to.endpoint->send(wire::kControlMessageId, std::move(payload));
}

void Outbox::send(core::PeerId peer) {
  auto node = held_.extract(peer);
  if (!node.empty()) send(peer, node.mapped());
}

void Outbox::send_all() {
  for (auto& [peer, mail] : held_) send(peer, mail);
  held_.clear();
}

void Outbox::send_if_due(core::Time last_activity, core::Time now) {
  if (held_.empty()) return;
  if (now - last_activity >= kRest || now - held_since_ >= kLongest) send_all();
}

}  // namespace nixl_connect::runtime
