// SPDX-License-Identifier: Apache-2.0
//
// The core's commands, and the ends of the transfers they start.
#include "base/log.h"
#include "nixl_connect/connector.h"
#include "paths/cuda/device_copy.h"
#include "paths/local/exposures.h"
#include "paths/ucx/transfer.h"
#include "runtime/dispatcher.h"
#include "runtime/operation_state.h"
#include "runtime/stream_order.h"
#include "wire/notification.h"

namespace nixl_connect::runtime {

using paths::host::Copy;
using paths::ucx::Direction;
using paths::ucx::Transfer;
using paths::ucx::TransferResult;

namespace {

// In which of OperationMemory::whole() a range is.
class WholeFinder {
 public:
  explicit WholeFinder(const OperationMemory& memory) {
    if (memory.paged() != nullptr) find_.emplace(*memory.paged());
  }

  std::size_t operator()(std::size_t range) {
    if (!find_) return range;
    (*find_)(range);
    return find_->piece();
  }

 private:
  std::optional<base::PagedMemory::Finder> find_;
};

}  // namespace

void Dispatcher::carry_out(const core::StartTransfer& command) {
  const Running& running = running_.at(command.operation);
  running.state->began();
  if (!is_held(command.operation, running)) start(command.operation);
}

void Dispatcher::start(core::OperationId operation) {
  try {
    start_transfer(operation, running_.at(operation));
  } catch (const Error& error) {
    core_.transfer_ended(operation, core::Failure{error.kind(), error.what()}, 0, {},
                         time_);
  }
}

// Memory of the peer is on its way, by which the transfer may take a better path.
bool Dispatcher::is_held(core::OperationId operation, const Running& running) {
  Peer* const peer = peers_.find(running.peer);
  if (peer == nullptr || !running.agent->extension()) return false;
  if (running.is_served) return false;  // it opens nothing of the peer's
  const bool is_own = peer->is_in_this_process();
  if (!is_own &&
      (running.path == core::Path::kCudaPeer ||
       running.path == core::Path::kCudaStaged) &&
      is_held_for_gpu(operation, running, *peer))
    return true;
  const bool is_by_maps = running.path == core::Path::kHostMap ||
                          (running.path == core::Path::kCudaStaged && !is_own);
  return is_by_maps && fetches_.hold(operation, *peer, movement_of(running), time_);
}

void Dispatcher::carry_out(const core::StopTransfer& command) {
  if (fetches_.drop(command.operation) || asked_keys_.drop(command.operation) ||
      gpu_closing_.drop(command.operation))
    return core_.transfer_ended(command.operation,
                                core::Failure{ErrorKind::kCancelled, "stopped"}, 0, {},
                                time_);
  Running& running = running_.at(command.operation);
  if (served_.has(command.operation)) {
    stop_gpu_copy(command.operation, running);
    return served_.stop(command.operation);
  }
  if (running.transfer) running.transfer->stop();
  if (running.gpu_copy || running.path == core::Path::kCudaStaged)
    stop_gpu_copy(command.operation, running);
  if (running.copy && running.copy->stop() == Copy::Step::kEnded)
    copy_ended(command.operation);
}

void Dispatcher::carry_out(const core::CheckLease& command) {
  Running& running = running_.at(command.operation);
  if (running.is_lease_checked)
    return core_.lease_checked(command.operation, true, std::nullopt, time_);
  try {
    const Peer* peer = peers_.find(running.peer);
    const auto is_valid = peer == nullptr
                              ? std::nullopt
                              : peer->leases.is_valid(*running.agent->extension());
    if (is_valid)
      core_.lease_checked(command.operation, *is_valid, std::nullopt, time_);
    else
      lease_checks_.start(command.operation, endpoint(running),
                          running.agent->extension()->lease);
  } catch (const Error& error) {
    core_.lease_checked(command.operation, false,
                        core::Failure{error.kind(), error.what()}, time_);
  }
}

void Dispatcher::carry_out(const core::EndLease& command) {
  gpu_leases_.erase(command.lease);
  // Before the word is cleared: see served_ended().
  for (const core::OperationId each : servings_.on(command.lease))
    core_.cancel(each, time_);
  resources_.leases.end(command.lease);
  if (!command.is_answered) return;
  if (channels_)
    channels_->take_from([this](core::PeerId peer) { return core_.is_admitted(peer); });
  core_.lease_ended(command.lease);
}

void Dispatcher::carry_out(const core::LookAtLease& command) {
  const Running& running = running_.at(command.operation);
  const Peer* const peer = peers_.find(running.peer);
  if (peer != nullptr && peer->channel != nullptr && peer->channel->has_delivered &&
      peer->leases.is_valid(*running.agent->extension()).value_or(false))
    core_.lease_seen(command.operation, time_);
}

void Dispatcher::carry_out(const core::Notify& command) {
  outbox_.add_notification(command.peer,
                           wire::encode(wire::Notification{
                               resources_.registrations.agent_name(), command.key}),
                           time_);
}

void Dispatcher::carry_out(const core::Send& command) {
  outbox_.add(command.peer, command.body, time_);
  if (command.is_awaited) outbox_.send(command.peer);
}

void Dispatcher::carry_out(const core::DropPeer& command) {
  // A copy of this process's own comes to its end without the peer.
  if (is_under_way(command.peer, &Running::transfer))
    peers_.drop(command.peer, "it did not answer in time");
  end_poisoned_transfers(command.peer);
}

void Dispatcher::carry_out(const core::Succeed& command) {
  Running& running = running_.at(command.operation);
  // The user of an open view does the rest, and it no longer keeps the thread awake.
  if (std::exchange(running.agent, nullptr)) --initiating_;
  OperationState& state = *running.state;
  state.bytes().store(state.size(), std::memory_order_relaxed);
  if (auto callbacks = state.succeed(); !callbacks.empty())
    deliveries_.add({nullptr, std::move(callbacks), OperationStatus::kComplete});
}

// By a GPU of this process.
bool Dispatcher::is_in_use(const Running& exposed) const {
  return (exposed.exposure && exposed.exposure->is_held()) ||
         servings_.are_on(exposed.lease);
}

void Dispatcher::carry_out(core::Finish& command) {
  if (is_in_use(running_.at(command.operation))) {
    held_finishes_.push_back(std::move(command));
    return;
  }
  auto node = running_.extract(command.operation);
  OperationState& state = *node.mapped().state;
  if (node.mapped().agent) --initiating_;
  if (node.mapped().view) peers_.see_if_left(node.mapped().peer);
  if (command.outcome.status == OperationStatus::kComplete)
    state.bytes().store(state.size(), std::memory_order_relaxed);
  // Before the user, who may free the memory and get its address again, hears of it.
  { const RegistrationHold released = std::move(node.mapped().registrations); }
  node.mapped().given_keys.reset();
  // Before more is said in front of the failure.
  if (ServedOperations::is_mine(command.operation))
    exposure_ended(command.operation, command.outcome);
  if (auto& failure = command.outcome.failure) {
    const Peer* peer = failure->peer ? peers_.find(*failure->peer) : nullptr;
    failure->message = state.description() +
                       (peer == nullptr ? "" : " to peer " + peer->agent) + ": " +
                       failure->message;
  }
  finish(std::move(node.mapped().state), command.outcome);
  if (Servings::is_mine(command.operation)) serving_ended(command.operation);
}

void Dispatcher::finish_what_was_held() {
  for (core::Finish& each : std::exchange(held_finishes_, {})) carry_out(each);
}

void Dispatcher::finish(std::shared_ptr<OperationState> state,
                        const core::Outcome& outcome) {
  auto callbacks = state->finish(outcome);
  OperationState& left = *state;
  auto dropped = left.leave(std::move(state));
  if (dropped || !callbacks.empty())
    deliveries_.add({std::move(dropped), std::move(callbacks), outcome.status});
}

void Dispatcher::carry_out(const core::Progress& command) {
  OperationState& state = *running_.at(command.operation).state;
  state.began();
  state.bytes().store(command.bytes, std::memory_order_relaxed);
  if (!command.path.empty()) state.set_path(command.path);
}

paths::ucx::Endpoint& Dispatcher::endpoint(const Running& running) {
  Peer* peer = peers_.find(running.peer);
  if (peer == nullptr)
    throw Error(ErrorKind::kDisconnected,
                "peer " + running.agent->name() + " is gone; ask it for new metadata");
  return peers_.endpoint(*peer);
}

void Dispatcher::start_transfer(core::OperationId operation, Running& running) {
  while (running.path != core::Path::kUcx) {
    if (try_start_copy(operation, running)) return;
    running.closed.paths.add(running.path);
    choose_again(running);
  }
  if (asks_for_keys(operation, running)) return;
  if (has_gpu_memory(movement_of(running)))
    return start_gpu_ucx_transfer(operation, running);
  paths::ucx::Endpoint& to = endpoint(running);
  if (running.registrations.is_empty())
    running.registrations =
        resources_.registrations.acquire(running.state->memory().whole());
  start_ucx_transfer(operation, running, to);
}

void Dispatcher::start_ucx_transfer(core::OperationId operation, Running& running,
                                    paths::ucx::Endpoint& to) {
  const OperationMemory& memory = running.state->memory();
  const std::span<const LocalRange> local = memory.ranges();
  WholeFinder whole_of(memory);
  std::vector<paths::ucx::Range> ranges;
  ranges.reserve(local.size());
  for (std::size_t i = 0; i < local.size(); ++i) {
    if (local[i].size() == 0) continue;
    const RemoteRange& remote = running.remote[i];
    const paths::ucx::Registration* const registration =
        running.registrations.is_empty() ? nullptr : running.registrations[whole_of(i)];
    const auto add = [&](std::uint64_t address, std::uint64_t size,
                         const base::Bytes& rkey) {
      ranges.push_back({local[i].ptr() + (address - remote.address), address, size,
                        registration, &to.remote_key(rkey)});
    };
    if (running.keys)
      running.keys->for_each_part(remote, add);
    else
      add(remote.address, local[i].size(), remote.region->rkey);
  }
  const bool is_read = running.state->identity().kind == OperationKind::kRead;
  // A genuine agent wants its notification only behind a flush, whatever came before.
  const bool flush = !is_read || !running.agent->extension();
  running.transfer = std::make_unique<Transfer>(
      to, is_read ? Direction::kGet : Direction::kPut, std::move(ranges), flush,
      [this, operation](TransferResult end) {
        transfer_ended(operation, std::move(end));
      });
  running.transfer->mirror(running.state->bytes());
  // UCX makes its calls when it likes.
  if (const auto& waits = running.state->stream_waits()) waits->allow();
  running.transfer->start();
}

void Dispatcher::transfer_ended(core::OperationId operation, TransferResult end) {
  Running& running = running_.at(operation);
  running.transfer.reset();
  peers_.see_if_left(running.peer);
  running.state->set_path(end.path);
  std::optional<core::Failure> failure;
  if (end.failure)
    failure = {
        ErrorKind::kDisconnected,
        (end.path.empty() ? "the connection" : end.path) + " failed: " + *end.failure};
  core_.transfer_ended(operation, std::move(failure), end.bytes, std::move(end.path),
                       time_);
}

}  // namespace nixl_connect::runtime
