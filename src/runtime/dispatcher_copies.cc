// SPDX-License-Identifier: Apache-2.0
//
// Which path an operation takes, and the copies by those of one host.
#include "base/lease_over.h"
#include "base/log.h"
#include "runtime/dispatcher.h"
#include "runtime/operation_state.h"

namespace nixl_connect::runtime {

using paths::host::Copy;
using paths::host::Fault;

namespace {

// The planner predicts what the copies do.
static_assert(core::kPieceBytes == Copy::kPieceBytes &&
              core::kPieceRanges == Copy::kPieceRanges);

// Why not all bytes were moved.
core::Failure failure_of(const Copy& copy, const std::string& path) {
  switch (copy.fault()) {
    case Fault::kLeaseOver:
      return {ErrorKind::kCancelled, base::lease_over_text()};
    case Fault::kPeerGone:
      return {ErrorKind::kDisconnected, kProcessIsGone};
    case Fault::kLocalMemory:
      return {ErrorKind::kInvalidArgument, path + ": " + kOwnMemoryFault};
    case Fault::kRemoteMemory:
      return {ErrorKind::kDisconnected,
              path +
                  ": the peer's memory is not mapped any more, or read-only though "
                  "it is the target; ask for new metadata"};
    case Fault::kGpu:
      return {copy.cause().kind, path + ": " + copy.cause().text};
    case Fault::kNone:
    case Fault::kRefused:
      break;
  }
  return {ErrorKind::kCancelled, "stopped"};
}

}  // namespace

Movement Dispatcher::movement_of(const Running& running) {
  const OperationState& state = *running.state;
  return {state.identity().kind, state.memory(), *running.agent,
          running.remote,        running.after,  running.walls};
}

// Before the peer hears of it. False if no path may be taken; the operation has then
// ended.
bool Dispatcher::plan(BeginRequest& request, Peer& peer) {
  OperationState& state = *request.state;
  const Movement movement{state.identity().kind, state.memory(), *request.agent,
                          request.remote};
  const core::Choice choice = host_paths_.choose(movement, peer, request.rules, {});
  settle(state, peer, choice, request.rules);
  if (choice.path) {
    request.path = *choice.path;
    request.is_served = choice.is_served;
    return true;
  }
  if (core::is_exposure_over(choice))
    refuse(request, {ErrorKind::kCancelled,
                     state.description() + ": " + base::lease_over_text()});
  else if (is_gone(movement, peer))
    refuse(request,
           {ErrorKind::kDisconnected, state.description() + ": " + kPeerIsGone});
  else
    refuse(request, {ErrorKind::kUnsupported,
                     state.description() + ": " + core::why_none(state.explain())});
  return false;
}

// A peer that moves bytes of its GPUs for others, from this host, has a local channel,
// unless this Connector wants none, or has been closed out.
bool Dispatcher::is_gone(const Movement& movement, const Peer& peer) const {
  const auto& extension = movement.agent.extension();
  return channels_ && peer.channel == nullptr && extension && extension->serves &&
         extension->place && is_within_reach(*extension->place) &&
         !has_closed_to_us(extension->instance);
}

// A slow path that nobody asked for is not to be silent, of each peer.
void Dispatcher::settle(OperationState& state, Peer& peer, const core::Choice& choice,
                        const core::PathRules& rules) const {
  state.set_plan(choice, rules);
  if (base::is_debugging())
    base::log_debug(state.description() + ": " + core::in_one_line(state.explain()));
  if (peer.is_slowness_told || !core::is_only_ucx_left(choice, rules)) return;
  peer.is_slowness_told = true;
  base::log_info("peer " + peer.agent + " is on this host, but goes by ucx: " +
                 core::why_only_ucx(state.explain()));
}

// The path that was taken is closed. Throws Error(kUnsupported) if no other may be
// taken, Error(kDisconnected) if the peer is gone.
void Dispatcher::choose_again(Running& running) {
  Peer* const peer = peers_.find(running.peer);
  if (peer == nullptr) throw Error(ErrorKind::kDisconnected, kPeerIsGone);
  const core::Choice choice =
      host_paths_.choose(movement_of(running), *peer, running.rules, running.closed);
  settle(*running.state, *peer, choice, running.rules);
  if (!choice.path)
    throw Error(ErrorKind::kUnsupported, core::why_none(running.state->explain()));
  running.path = *choice.path;
  running.is_served = choice.is_served;
}

// False if the bytes cannot go by this path.
bool Dispatcher::try_start_copy(core::OperationId operation, Running& running) {
  Peer* const peer = peers_.find(running.peer);
  if (peer == nullptr) return false;
  OperationState& state = *running.state;
  if (state.size() == 0) {
    state.set_path(std::string(core::name_of(running.path)));
    core_.transfer_ended(operation, std::nullopt, 0, state.path(), time_);
    return true;
  }
  if (running.is_served) {
    start_served(operation, running);
    return true;
  }
  if (running.path == core::Path::kCudaPeer || running.path == core::Path::kCudaStaged)
    return try_start_gpu_copy(operation, running, *peer);
  running.copy =
      host_paths_.copy(running.path, movement_of(running), *peer, state.bytes());
  if (!running.copy) return false;
  if (running.state->identity().kind == OperationKind::kRead)
    running.copy->prepare_target();
  if (running.copy->pieces() > 1 || running.copy->bytes() > kInlineBytes) {
    copies_.add(operation, running.copy);
    return true;
  }
  while (running.copy->move_piece() != Copy::Step::kEnded) {
  }
  copy_ended(operation);
  return true;
}

// Moves a piece of a large copy, and reports the copies that have ended. True if there
// was anything to do.
bool Dispatcher::help_copies() {
  const bool did_help = copies_.help();
  copies_.take_ended(ended_copies_);
  for (const core::OperationId operation : ended_copies_) copy_ended(operation);
  if (!ended_copies_.empty()) carry_out_all();
  return did_help || !ended_copies_.empty();
}

void Dispatcher::copy_ended(core::OperationId operation) {
  Running& running = running_.at(operation);
  const auto copy = std::move(running.copy);
  if (running.path == core::Path::kCudaStaged) --by_gpu_threads_;
  peers_.see_if_left(running.peer);
  if (copy->fault() == Fault::kRefused && !copy->was_stopped()) {
    // The kernel does not let this process touch that one, or not any more.
    if (Peer* const peer = peers_.find(running.peer); peer != nullptr)
      peer->set_cma_refused();
    return start_over(operation);
  }
  std::string path(core::name_of(running.path));
  running.state->set_path(path);
  running.is_lease_checked = copy->checks_lease();
  std::optional<core::Failure> failure;
  if (!copy->is_complete()) failure = failure_of(*copy, path);
  core_.transfer_ended(operation, std::move(failure), copy->bytes_moved(),
                       std::move(path), time_);
}

// By another path: the one that was taken is closed after all.
void Dispatcher::start_over(core::OperationId operation) {
  Running& running = running_.at(operation);
  running.closed.paths.add(running.path);
  try {
    choose_again(running);
  } catch (const Error& error) {
    return core_.transfer_ended(operation, core::Failure{error.kind(), error.what()}, 0,
                                {}, time_);
  }
  carry_out(core::StartTransfer{operation});
}

}  // namespace nixl_connect::runtime
