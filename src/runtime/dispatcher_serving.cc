// SPDX-License-Identifier: Apache-2.0
//
// Bytes that this process moves as the exposing one, since the initiating one cannot.
// The two change sides for that: the initiating side exposes memory, for its peer only,
// and the exposing side reads or writes it. So what holds for memory, peers and their
// ends holds here as for all operations. dispatcher_served.cc has the other side.
#include <algorithm>
#include <limits>
#include <utility>

#include "nixl_connect/error.h"
#include "runtime/dispatcher.h"
#include "runtime/operation_state.h"
#include "runtime/stream_order.h"

namespace nixl_connect::runtime {
namespace {

// Both sides have a say in what is taken of the GPU. Which path it is has been decided.
core::PathRules rules_for(const wire::Serve& asked, core::PathRules rules) {
  rules.required = {};
  rules.required.add(core::Path::kCudaStaged);
  rules.ordered.clear();
  rules.min_gbps = 0;
  rules.may_use_sm = rules.may_use_sm && asked.may_use_sm;
  const auto most = static_cast<unsigned>(
      std::min<std::uint64_t>(asked.max_blocks, std::numeric_limits<unsigned>::max()));
  if (most != 0 && (rules.max_blocks == 0 || most < rules.max_blocks))
    rules.max_blocks = most;
  return rules;
}

}  // namespace

void Dispatcher::receive(const Peer& peer, const wire::Serve& message) {
  try {
    if (const auto asked = servings_.add(peer.id, message))
      serve_or_refuse(peer, *asked);
  } catch (const Error& error) {
    answer(peer.id, wire::NotServed{message.operation, error.what()});
  }
}

void Dispatcher::serve_or_refuse(const Peer& peer, const wire::Serve& asked) {
  try {
    serve(peer, asked);
  } catch (const Error& error) {
    answer(peer.id, wire::NotServed{asked.operation, error.what(),
                                    error.kind() == ErrorKind::kCancelled});
  }
}

void Dispatcher::serving_ended(core::OperationId operation) {
  const core::PeerId id = servings_.end(operation).peer;
  const Peer* const peer = peers_.find(id);
  while (const auto next = servings_.take_waiting(id))
    if (peer != nullptr) serve_or_refuse(*peer, next->second);
  finish_what_was_held();  // no turn may be due
}

// Throws Error if this cannot be served; then nothing has begun.
void Dispatcher::serve(const Peer& peer, const wire::Serve& asked) {
  Running* const exposed = find_exposed(asked.lease, asked.token);
  if (exposed == nullptr) throw Error(ErrorKind::kCancelled, "its operation has ended");
  const OperationState& state = *exposed->state;
  const OperationMemory& memory = state.memory();
  if (memory.device().kind() != DeviceKind::kCuda)
    throw Error(ErrorKind::kInvalidArgument, "the memory is the host's");
  auto agent = std::make_shared<const RemoteAgent>(wire::decode(asked.exposed));
  const auto& extension = agent->extension();
  if (!extension || extension->instance != peer.instance ||
      agent->connection() != peer.connection)
    throw Error(ErrorKind::kInvalidArgument, "the metadata is another process's");
  if (extension->ready || !extension->gpu_exports.empty())
    throw Error(ErrorKind::kInvalidArgument, "the metadata is of memory of a GPU");
  ServingMemory ranges = memory_of_serving(asked, memory, *agent);
  BeginRequest request;
  request.rules = rules_for(asked, resources_.path_rules);
  request.after = exposed->after;
  request.walls = resources_.gpus.check(memory.whole());
  request.remote = std::move(ranges.there);
  std::shared_ptr<const void> away = exposed->away;
  if (const auto& waits = state.stream_waits(); waits && !away) {
    away = StreamWaits::keep_away(waits);
    if (!away)
      throw Error(ErrorKind::kUnsupported,
                  "a stream waits for the end of its operation, for which what the "
                  "copy needs might have to wait");
  }
  const core::OperationId operation = servings_.next_number();
  request.state = std::make_shared<OperationState>(
      OperationState::Identity{
          operation, opposite_of(state.identity().kind), {}, agent->name()},
      ranges.here, state.driver());
  request.state->drop();  // it has no user
  request.agent = std::move(agent);
  servings_.begin(operation, {peer.id, asked.operation, asked.lease});
  handle(request);
  if (running_.contains(operation)) exposed->away = std::move(away);
}

void Dispatcher::answer(core::PeerId peer, const wire::NotServed& message) {
  outbox_.add(peer, message, time_);
  outbox_.send(peer);
}

}  // namespace nixl_connect::runtime
