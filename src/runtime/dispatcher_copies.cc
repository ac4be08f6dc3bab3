// SPDX-License-Identifier: Apache-2.0
//
// Transfers by host.cma: who may take that path, and how they end.
#include "runtime/dispatcher.h"
#include "runtime/operation_state.h"

namespace nixl_connect::runtime {

using paths::host::CmaCopy;
using paths::host::Fault;

namespace {

std::vector<paths::host::Range> ranges_of(const std::vector<Descriptor>& local,
                                          const std::vector<RemoteRange>& remote) {
  std::vector<paths::host::Range> ranges;
  ranges.reserve(local.size());
  for (std::size_t i = 0; i < local.size(); ++i)
    if (local[i].size() > 0)
      ranges.push_back({local[i].ptr(), remote[i].address, local[i].size()});
  return ranges;
}

// Why not all bytes were moved.
core::Failure failure_of(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return {ErrorKind::kCancelled, "stopped"};
    case Fault::kLeaseOver:
      return {ErrorKind::kCancelled,
              "the exposing side ended the operation before all bytes were moved; ask "
              "it for new metadata"};
    case Fault::kPeerGone:
      return {ErrorKind::kDisconnected,
              "the peer's process is gone; ask for new metadata"};
    case Fault::kRefused:
      return {ErrorKind::kUnsupported,
              "host.cma: the kernel no longer lets this process touch the peer's "
              "memory; forbid host.cma and begin again"};
    case Fault::kLocalMemory:
      return {ErrorKind::kInvalidArgument,
              "host.cma: memory of this process is not mapped, or read-only though it "
              "is the target"};
    case Fault::kRemoteMemory:
      break;
  }
  return {ErrorKind::kDisconnected,
          "host.cma: the peer's memory is not mapped any more, or read-only though it "
          "is the target; ask for new metadata"};
}

}  // namespace

bool Dispatcher::try_start_copy(core::OperationId operation, Running& running) {
  OperationState& state = *running.state;
  Peer* const peer = peers_.find(running.peer);
  if (!resources_.may_use_cma || peer == nullptr || !peer->leases.is_open() ||
      state.size() == 0)
    return false;
  const auto lease = peer->cma.lease_of(*running.agent->extension());
  if (!lease) return false;
  running.copy = std::make_shared<CmaCopy>(
      state.identity().kind, *lease, ranges_of(state.descriptors(), running.remote),
      state.bytes());
  if (running.copy->pieces() > 1) {
    copies_.add(operation, running.copy);
    return true;
  }
  while (running.copy->move_piece() != CmaCopy::Step::kEnded) {
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
  constexpr const char* kPath = "host.cma";
  Running& running = running_.at(operation);
  const auto copy = std::move(running.copy);
  running.state->set_path(kPath);
  // A read of CMA takes the lease's word with the bytes.
  running.is_lease_checked = true;
  std::optional<core::Failure> failure;
  if (!copy->is_complete() || copy->fault() != Fault::kNone)
    failure = failure_of(copy->fault());
  core_.transfer_ended(operation, std::move(failure), copy->bytes_moved(), kPath,
                       time_);
}

}  // namespace nixl_connect::runtime
