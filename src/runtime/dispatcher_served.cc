// SPDX-License-Identifier: Apache-2.0
//
// The other side of dispatcher_serving.cc: operations of this process whose bytes the
// peer moves, part by part, to or from memory that is exposed to it for that.
#include <algorithm>
#include <utility>

#include "base/random.h"
#include "nixl_connect/error.h"
#include "paths/cuda/copy_thread.h"
#include "runtime/dispatcher.h"
#include "runtime/exports.h"
#include "runtime/operation_state.h"

namespace nixl_connect::runtime {
namespace {

// From the first byte to the last, gaps included. A peer of ours on this host needs no
// key.
wire::Region region_of(const std::vector<wire::ServedRange>& ranges) {
  wire::Region region;
  region.address = ranges.front().asker_address;
  std::uint64_t end = 0;
  for (const wire::ServedRange& each : ranges) {
    region.address = std::min(region.address, each.asker_address);
    end = std::max(end, each.asker_address + each.size);
  }
  region.size = end - region.address;
  return region;
}

}  // namespace

void Dispatcher::start_served(core::OperationId operation, Running& running) {
  const OperationState& state = *running.state;
  running.served = std::make_unique<ServedOperation>(
      state.identity().kind, ranges_of(movement_of(running)),
      state.memory().device().kind() == DeviceKind::kCuda);
  begin_parts(operation);
}

// As many as may be.
void Dispatcher::begin_parts(core::OperationId operation) {
  Running& running = running_.at(operation);
  ServedOperation& served = *running.served;
  const Peer* const peer = peers_.find(running.peer);
  if (peer == nullptr) served.stop();
  while (served.has_more()) {
    if (!served_parts_.has_room(peer->id, served.most_ranges()))
      return served_parts_.hold(operation, peer->id, served.most_ranges());
    begin_part(operation, running);
  }
  if (served.is_over()) served_ended(operation);
}

void Dispatcher::begin_part(core::OperationId operation, const Running& running) {
  ServedOperation& served = *running.served;
  const bool is_read = running.state->identity().kind == OperationKind::kRead;
  std::optional<core::OperationId> number;
  try {
    ServedPart made =
        served.next_part(served.takes_slots() ? served_parts_.take_slot() : nullptr);
    made.operation = operation;
    made.peer = running.peer;
    number = served_parts_.begin(std::move(made));
    if (served.takes_slots() && !is_read)
      copy_between_slot_and_gpu(*number, running);
    else
      ask_to_serve(*number, running);
  } catch (const Error& error) {
    if (number) {
      ServedPart part = served_parts_.end(*number);
      part.bytes = 0;
      served.end_part(part);
    }
    served.fail({error.kind(), error.what()});
  }
}

void Dispatcher::copy_between_slot_and_gpu(core::OperationId number,
                                           const Running& running) {
  ServedPart& part = served_parts_.at(number);
  part.copy = gpu_paths_.copy_of_slot(movement_of(running), running.rules,
                                      std::move(part.copied), part_progress_);
  if (!part.copy)
    throw Error(ErrorKind::kNoResources, "memory of this process cannot be mapped");
  gpu_thread().add(number, part.copy);
}

void Dispatcher::ask_to_serve(core::OperationId number, const Running& running) {
  const ServedPart& part = served_parts_.at(number);
  const Peer* const peer = peers_.find(part.peer);
  if (peer == nullptr)
    throw Error(ErrorKind::kDisconnected, "the peer is gone; ask it for new metadata");
  const wire::LeaseRecord lease = resources_.leases.grant();
  const wire::Extension extension = expose_to_peer(number, running, lease);
  // By system calls, for which it needs this process's permission.
  tracing_permission_.came(peer->id, peer->channel->pid);
  // Too long a message, as of a long name, is as if it were refused: the exposure has
  // begun.
  try {
    send_serve(number, running, extension);
  } catch (const Error& error) {
    not_served(peer->id, {number, error.what()});
  }
}

wire::Extension Dispatcher::expose_to_peer(core::OperationId number,
                                           const Running& running,
                                           const wire::LeaseRecord& lease) {
  const OperationState& state = *running.state;
  const ServedPart& part = served_parts_.at(number);
  std::vector<Descriptor> of_slot;
  if (part.slot)
    of_slot.emplace_back(part.slot->data(), part.slot_bytes, Device(), part.slot);
  const std::span<const Descriptor> memory =
      part.slot ? of_slot : state.memory().whole();
  core::Exposure exposure;
  exposure.operation = number;
  exposure.kind = opposite_of(state.identity().kind);
  exposure.notification_key = base::random_uuid4();
  exposure.lease = lease.id;
  exposure.token = lease.token;
  wire::Extension extension = extension_of(resources_, lease, memory);
  extension.allows_early_writes = exposure.kind == OperationKind::kWrite;
  auto exposed = std::make_shared<OperationState>(
      OperationState::Identity{number, exposure.kind, exposure.notification_key, {}},
      memory, state.driver());
  exposed->drop();  // it has no user
  ExposeRequest request{std::move(exposed), {}, exposure};
  handle(request);
  return extension;
}

void Dispatcher::send_serve(core::OperationId number, const Running& running,
                            const wire::Extension& extension) {
  const std::vector<wire::ServedRange>& ranges = served_parts_.at(number).ranges;
  wire::AgentMetadata agent;
  agent.agent = resources_.registrations.agent_name();
  agent.connection = resources_.worker_address;
  agent.regions = {region_of(ranges)};
  agent.extension = extension;
  const wire::LeaseRecord& of_peer = running.agent->extension()->lease;
  wire::Serve message{number,
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
  ServedPart* const part = served_parts_.find(answer.operation, peer);
  if (part == nullptr) return;
  part->why_not = std::make_shared<const std::string>(answer.reason);
  core_.cancel(answer.operation, time_);
}

// The peer is done with the part's memory, and does not touch it any more.
void Dispatcher::exposure_ended(core::OperationId number,
                                const core::Outcome& outcome) {
  const ServedPart& part = served_parts_.at(number);
  const Running& running = running_.at(part.operation);
  if (outcome.status != OperationStatus::kComplete)
    return part_failed(number, outcome.failure.value_or(
                                   core::Failure{ErrorKind::kCancelled, "stopped"}));
  if (part.copied.empty()) return part_ended(number);
  try {
    copy_between_slot_and_gpu(number, running);
  } catch (const Error& error) {
    part_failed(number, {error.kind(), error.what()});
  }
}

void Dispatcher::copy_of_slot_ended(core::OperationId number) {
  ServedPart& part = served_parts_.at(number);
  const Running& running = running_.at(part.operation);
  const auto copy = std::move(part.copy);
  if (copy->failure())
    return part_failed(number, {copy->failure()->kind, copy->failure()->message});
  if (!copy->is_complete())
    return part_failed(number, {ErrorKind::kCancelled, "stopped"});
  if (running.state->identity().kind == OperationKind::kRead) return part_ended(number);
  try {
    ask_to_serve(number, running);
  } catch (const Error& error) {
    part_failed(number, {error.kind(), error.what()});
  }
}

void Dispatcher::part_ended(core::OperationId number) {
  ServedPart part = served_parts_.end(number);
  Running& running = running_.at(part.operation);
  running.served->end_part(part);
  running.state->bytes().store(running.served->moved(), std::memory_order_relaxed);
  go_on_behind(std::move(part));
}

void Dispatcher::part_failed(core::OperationId number, core::Failure failure) {
  ServedPart part = served_parts_.end(number);
  ServedOperation& served = *running_.at(part.operation).served;
  part.bytes = 0;
  served.end_part(part);
  part.why_not ? served.refuse(part.why_not) : served.fail(std::move(failure));
  go_on_behind(std::move(part));
}

void Dispatcher::go_on_behind(ServedPart part) {
  served_parts_.give_back(std::move(part.slot));
  begin_parts(part.operation);
  // What cannot begin leaves its place to the next.
  while (const auto next = served_parts_.take_held(part.peer)) begin_parts(*next);
}

void Dispatcher::stop_served(core::OperationId operation, Running& running) {
  served_parts_.drop(operation);
  running.served->stop();
  const std::vector<core::OperationId> parts = served_parts_.of(operation);
  if (parts.empty()) return served_ended(operation);
  for (const core::OperationId number : parts)
    if (const auto& copy = served_parts_.at(number).copy)
      copy->stop();
    else
      core_.cancel(number, time_);
}

// Nothing of it is under way.
void Dispatcher::served_ended(core::OperationId operation) {
  Running& running = running_.at(operation);
  const auto served = std::move(running.served);
  served_parts_.drop(operation);
  if (served->is_refused()) {
    running.closed.why_not_served = served->why_not();
    return start_over(operation);
  }
  std::optional<core::Failure> failure = served->failure();
  // The peer gives its memory up only when what it serves has ended: the bytes are
  // valid.
  running.is_lease_checked = !failure;
  std::string path(core::name_of(core::Path::kCudaStaged));
  running.state->set_path(path);
  if (failure) failure->message = path + ": " + failure->message;
  core_.transfer_ended(operation, std::move(failure), served->moved(), std::move(path),
                       time_);
}

}  // namespace nixl_connect::runtime
