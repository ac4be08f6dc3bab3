// SPDX-License-Identifier: Apache-2.0
//
// The other side of dispatcher_serving.cc: operations of this process whose bytes the
// peer moves, part by part, to or from memory that is exposed to it for that.
#include <algorithm>
#include <utility>

#include "base/random.h"
#include "nixl_connect/error.h"
#include "paths/cuda/copy_thread.h"
#include "paths/cuda/device_copy.h"
#include "paths/host/process_memory.h"
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

// Which the peer could not know from its own. Memory of a GPU is a driver's matter.
bool is_own_memory_at_fault(const Movement& movement) {
  return movement.local.device().kind() != DeviceKind::kCuda &&
         !paths::host::are_accessible(movement.kind, ranges_of(movement));
}

}  // namespace

ServedOperations::Handlers Dispatcher::served_handlers() {
  return {[this](core::OperationId number, ServedPart& part) {
            ask_to_serve(number, part);
          },
          [this](core::OperationId number, ServedPart& part) {
            copy_of_slot(number, part);
          },
          [this](core::OperationId number, ServedPart& part) {
            part.copy ? part.copy->stop() : core_.cancel(number, time_);
          },
          [this](core::OperationId operation, std::uint64_t bytes) {
            running_.at(operation).state->bytes().store(bytes,
                                                        std::memory_order_relaxed);
          },
          [this](core::OperationId operation, const ServedOperation& served) {
            served_ended(operation, served);
          },
          [this](core::PeerId peer) { return peers_.find(peer) != nullptr; }};
}

void Dispatcher::start_served(core::OperationId operation, const Running& running) {
  const OperationState& state = *running.state;
  served_.begin(operation,
                {state.identity().kind, running.peer, ranges_of(movement_of(running)),
                 state.memory().device().kind() == DeviceKind::kCuda});
}

void Dispatcher::ask_to_serve(core::OperationId number, const ServedPart& part) {
  const Peer* const peer = peers_.find(part.peer);
  if (peer == nullptr) throw Error(ErrorKind::kDisconnected, kPeerIsGone);
  const wire::Extension extension =
      expose_to_peer(number, part, resources_.leases.grant());
  // Unless the memory is Connector::allocate()'s it is reached by system calls, which
  // take this process's permission.
  tracing_permission_.came(peer->id, peer->channel->pid);
  // Too long a message, as of a long name, is as if it were refused: the exposure has
  // begun.
  try {
    send_serve(number, part, extension);
  } catch (const Error& error) {
    not_served(peer->id, {number, error.what()});
  }
}

wire::Extension Dispatcher::expose_to_peer(core::OperationId number,
                                           const ServedPart& part,
                                           const wire::LeaseRecord& lease) {
  const OperationState& state = *running_.at(part.operation).state;
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

void Dispatcher::send_serve(core::OperationId number, const ServedPart& part,
                            const wire::Extension& extension) {
  const Running& running = running_.at(part.operation);
  const std::vector<wire::ServedRange>& ranges = part.ranges;
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
    outbox_.add(part.peer, message, time_);
    message.exposed.clear();
    message.first += message.ranges.size();
    first += count;
  }
  outbox_.send(part.peer);
}

void Dispatcher::not_served(core::PeerId peer, const wire::NotServed& answer) {
  if (!served_.refuse(answer.operation, peer, answer.reason)) return;
  if (answer.is_over)
    core_.message_arrived(
        peer, wire::Revoke{served_.part(answer.operation).operation, answer.reason},
        time_);
  core_.cancel(answer.operation, time_);
}

// The peer is done with the part's memory, and does not touch it any more.
void Dispatcher::exposure_ended(core::OperationId number,
                                const core::Outcome& outcome) {
  std::optional<core::Failure> failure;
  if (outcome.failure)
    failure = {outcome.failure->kind, outcome.failure->message};
  else if (outcome.status != OperationStatus::kComplete)
    failure = {ErrorKind::kCancelled, "stopped"};
  served_.step_ended(number, std::move(failure));
}

void Dispatcher::copy_of_slot(core::OperationId number, ServedPart& part) {
  const Running& running = running_.at(part.operation);
  part.copy = gpu_paths_.copy_of_slot(movement_of(running), running.rules,
                                      std::move(part.copied));
  if (!part.copy)
    throw Error(ErrorKind::kNoResources, "the slot of the host's memory is not mapped");
  try {
    gpu_thread().add(number, part.copy);
  } catch (...) {
    part.copy.reset();
    throw;
  }
}

void Dispatcher::copy_of_slot_ended(core::OperationId number) {
  ServedPart& part = served_.part(number);
  const auto copy = std::move(part.copy);
  std::optional<core::Failure> failure;
  if (copy->failure())
    failure = {copy->failure()->kind, copy->failure()->message};
  else if (!copy->is_complete())
    failure = {ErrorKind::kCancelled, "stopped"};
  if (failure && copy->failure() &&
      copy->failure()->cause == paths::cuda::CopyFailure::Cause::kNotPinned)
    served_.refuse(number, part.peer, failure->message);
  served_.step_ended(number, std::move(failure));
}

void Dispatcher::served_ended(core::OperationId operation,
                              const ServedOperation& served) {
  Running& running = running_.at(operation);
  if (served.why_not()) {
    running.closed.why_not_served = served.why_not();
    return start_over(operation);
  }
  std::optional<core::Failure> failure = served.failure();
  // The peer gives its memory up only when what it serves has ended: the bytes are
  // valid.
  running.is_lease_checked = !failure;
  std::string path(core::name_of(core::Path::kCudaStaged));
  running.state->set_path(path);
  if (failure && is_own_memory_at_fault(movement_of(running)))
    failure = {ErrorKind::kInvalidArgument, kOwnMemoryFault};
  if (failure) failure->message = path + ": " + failure->message;
  core_.transfer_ended(operation, std::move(failure), served.moved(), std::move(path),
                       time_);
}

}  // namespace nixl_connect::runtime
