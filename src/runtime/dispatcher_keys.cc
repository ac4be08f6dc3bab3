// SPDX-License-Identifier: Apache-2.0
//
// Keys of memory that the metadata lacks: asked for by the initiating side, given by
// the exposing one.
#include <algorithm>

#include "nixl_connect/error.h"
#include "paths/cuda/stream_points.h"
#include "runtime/dispatcher.h"
#include "runtime/given_keys.h"
#include "runtime/operation_state.h"

namespace nixl_connect::runtime {
namespace {

// As long as it takes to move some pages.
constexpr core::Time kBetweenAsks = std::chrono::microseconds(200);
constexpr std::size_t kMostHeldAsks = 1024;

wire::Keys refusal(const wire::AskKeys& asked, std::string why_not) {
  return {asked.operation, asked.first, 0, {}, {}, std::move(why_not)};
}

bool is_ready(Running& exposed) {
  if (exposed.after && exposed.after->has_come()) exposed.after.reset();
  return exposed.after == nullptr;
}

}  // namespace

// True: the operation is started again when they are here.
bool Dispatcher::asks_for_keys(core::OperationId operation, const Running& running) {
  const auto& extension = running.agent->extension();
  if (!extension || !extension->gives_keys || running.keys ||
      !lack_keys(running.remote))
    return false;
  asked_keys_.ask(operation, running.peer, extension->lease, time_);
  return true;
}

void Dispatcher::start_with_keys() {
  for (AskedKeys::Ready& ready : asked_keys_.take_ready()) {
    if (ready.keys) {
      running_.at(ready.operation).keys = std::move(ready.keys);
      start(ready.operation);
      continue;
    }
    core_.transfer_ended(
        ready.operation,
        core::Failure{ErrorKind::kUnsupported,
                      "ucx: the peer gives no keys of its memory: " + ready.why_not},
        0, {}, time_);
  }
}

Running* Dispatcher::find_exposed(core::LeaseId lease, std::uint64_t token) {
  // 0 is that of what is not exposed.
  if (lease == 0 || !resources_.leases.holds(lease, token)) return nullptr;
  const auto found = std::find_if(running_.begin(), running_.end(), [&](auto& each) {
    return each.second.lease == lease;
  });
  return found == running_.end() ? nullptr : &found->second;
}

// Later, if the memory is still to get ready.
void Dispatcher::answer(core::PeerId peer, const wire::AskKeys& asked) {
  const std::optional<wire::Keys> keys = keys_for(asked);
  if (!keys && held_asks_.size() < kMostHeldAsks) {
    if (held_asks_.empty()) next_look_at_asks_ = time_ + kBetweenAsks;
    held_asks_.emplace_back(peer, asked);
    return;
  }
  outbox_.add(peer, keys ? *keys : refusal(asked, "too many wait for theirs"), time_);
  outbox_.send(peer);
}

void Dispatcher::answer_held_asks() {
  if (held_asks_.empty() || next_look_at_asks_ > time_) return;
  for (const auto& [peer, asked] : std::exchange(held_asks_, {})) answer(peer, asked);
}

// None while the memory is still to get ready.
std::optional<wire::Keys> Dispatcher::keys_for(const wire::AskKeys& asked) {
  Running* const exposed = find_exposed(asked.lease, asked.token);
  if (exposed == nullptr) return refusal(asked, "its operation has ended");
  try {
    // What is exposed to be served by the peer has no keys.
    if (exposed->registrations.is_empty()) return refusal(asked, "it has none");
    if (!is_ready(*exposed)) return std::nullopt;
  } catch (const Error& error) {
    return refusal(asked, error.what());
  }
  if (!exposed->given_keys)
    exposed->given_keys = std::make_shared<const GivenKeys>(
        keys_of(exposed->state->memory().whole(), exposed->registrations,
                resources_.worker_address, resources_.gpu_ucx_of_ours));
  return exposed->given_keys->answer(asked);
}

}  // namespace nixl_connect::runtime
