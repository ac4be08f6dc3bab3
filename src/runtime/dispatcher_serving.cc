// SPDX-License-Identifier: Apache-2.0
//
// Bytes that the exposing process moves, as the initiating one cannot. The two change
// sides for that: the initiating side exposes its memory, for its peer only,
// and the exposing side reads or writes it. So what holds for memory, peers and their
// ends holds here as for all operations.
#include <algorithm>
#include <limits>
#include <utility>

#include "base/random.h"
#include "nixl_connect/error.h"
#include "runtime/dispatcher.h"
#include "runtime/exports.h"
#include "runtime/operation_state.h"
#include "runtime/stream_order.h"

namespace nixl_connect::runtime {
namespace {

constexpr OperationKind opposite_of(OperationKind kind) {
  return kind == OperationKind::kRead ? OperationKind::kWrite : OperationKind::kRead;
}

// From the first byte to the last, gaps included. A peer of ours on this host needs no
// key.
wire::Region region_of(std::span<const Descriptor> descriptors) {
  std::uint64_t begin = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t end = 0;
  for (const Descriptor& each : descriptors) {
    if (each.size() == 0) continue;
    begin = std::min<std::uint64_t>(begin, each.ptr());
    end = std::max<std::uint64_t>(end, each.ptr() + each.size());
  }
  wire::Region region;
  region.address = begin;
  region.size = end - begin;
  return region;
}

std::vector<wire::ServedRange> ranges_to_serve(const Movement& movement) {
  std::vector<wire::ServedRange> ranges;
  for (const paths::host::Range& each : ranges_of(movement))
    ranges.push_back({each.remote, each.local, each.size});
  return ranges;
}

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

// The initiating side.

void Dispatcher::ask_to_serve(core::OperationId operation, const Running& running,
                              const Peer& peer) {
  const std::size_t ranges = running.state->memory().count_with_bytes();
  if (!served_.has_room(peer.id, ranges))
    return served_.hold(operation, peer.id, ranges);
  const wire::LeaseRecord lease = resources_.leases.grant();
  served_.begin(operation, peer.id, ranges);
  const wire::Extension extension = expose_to_peer(operation, running, lease);
  // By system calls, for which it needs this process's permission.
  tracing_permission_.came(peer.id, peer.channel->pid);
  // Too long a message, as of a long name, is as if it were refused: the exposure has
  // begun.
  try {
    send_serve(operation, running, extension);
  } catch (const Error& error) {
    not_served(peer.id, {operation, error.what()});
  }
}

wire::Extension Dispatcher::expose_to_peer(core::OperationId operation,
                                           const Running& running,
                                           const wire::LeaseRecord& lease) {
  const OperationState& state = *running.state;
  core::Exposure exposure;
  exposure.operation = ServedOperations::exposure_of(operation);
  exposure.kind = opposite_of(state.identity().kind);
  exposure.notification_key = base::random_uuid4();
  exposure.lease = lease.id;
  exposure.token = lease.token;
  const auto memory = state.memory().whole();
  wire::Extension extension = extension_of(resources_, lease, memory);
  extension.allows_early_writes = exposure.kind == OperationKind::kWrite;
  auto exposed = std::make_shared<OperationState>(
      OperationState::Identity{
          exposure.operation, exposure.kind, exposure.notification_key, {}},
      memory, state.driver());
  exposed->drop();  // it has no user
  ExposeRequest request{std::move(exposed), {}, exposure};
  handle(request);
  return extension;
}

void Dispatcher::send_serve(core::OperationId operation, const Running& running,
                            const wire::Extension& extension) {
  wire::AgentMetadata agent;
  agent.agent = resources_.registrations.agent_name();
  agent.connection = resources_.worker_address;
  agent.regions = {region_of(running.state->memory().whole())};
  agent.extension = extension;
  const wire::LeaseRecord& of_peer = running.agent->extension()->lease;
  const auto ranges = ranges_to_serve(movement_of(running));
  wire::Serve message{operation,
                      of_peer.id,
                      of_peer.token,
                      ranges.size(),
                      wire::encode(agent),
                      {},
                      running.rules.may_use_sm,
                      running.rules.max_blocks};
  for (auto first = ranges.begin(); first != ranges.end();) {
    const auto count =
        std::min<std::ptrdiff_t>(wire::kMaxServedRangesInMessage, ranges.end() - first);
    message.ranges.assign(first, first + count);
    outbox_.add(running.peer, message, time_);
    message.exposed.clear();
    message.first += message.ranges.size();
    first += count;
  }
  outbox_.send(running.peer);
}

void Dispatcher::not_served(core::PeerId peer, const wire::NotServed& answer) {
  if (served_.refuse(answer.operation, peer, answer.reason))
    core_.cancel(ServedOperations::exposure_of(answer.operation), time_);
}

// The peer does not touch the memory any more.
void Dispatcher::served_ended(core::OperationId operation,
                              const core::Outcome& outcome) {
  const ServedOperations::Begun how = served_.end(operation);
  Running& running = running_.at(operation);
  if (how.why_not && !how.is_stopped) {
    running.closed.why_not_served = how.why_not;
    start_over(operation);
  } else {
    const bool is_complete = outcome.status == OperationStatus::kComplete;
    // The peer gives its memory up only when what it serves has ended: the bytes are
    // valid.
    running.is_lease_checked = is_complete;
    std::string path(core::name_of(core::Path::kCudaStaged));
    running.state->set_path(path);
    std::optional<core::Failure> failure;
    if (outcome.failure)
      failure = {outcome.failure->kind, path + ": " + outcome.failure->message};
    else if (!is_complete)
      failure = {ErrorKind::kCancelled, "stopped"};
    core_.transfer_ended(operation, std::move(failure),
                         is_complete ? running.state->size() : 0, std::move(path),
                         time_);
  }
  // What cannot start leaves its place to the next.
  while (const auto next = served_.take_held(how.peer)) start(*next);
}

// The exposing side.

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
    answer(peer.id, wire::NotServed{asked.operation, error.what()});
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
  const Running* const exposed = find_exposed(asked.lease, asked.token);
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
  std::shared_ptr<const void> away;
  if (const auto& waits = state.stream_waits()) {
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
  servings_.begin(operation, {peer.id, asked.operation, asked.lease, std::move(away)});
  handle(request);
}

void Dispatcher::answer(core::PeerId peer, const wire::NotServed& message) {
  outbox_.add(peer, message, time_);
  outbox_.send(peer);
}

}  // namespace nixl_connect::runtime
