// SPDX-License-Identifier: Apache-2.0
//
// Transfers by host.map and host.cma: who may take these paths, and how they end.
#include "base/log.h"
#include "paths/host/cma_copy.h"
#include "paths/host/mapped_copy.h"
#include "runtime/dispatcher.h"
#include "runtime/operation_state.h"

namespace nixl_connect::runtime {

using paths::host::CmaCopy;
using paths::host::Copy;
using paths::host::Fault;
using paths::host::MappedCopy;

namespace {

// Moved at once, since it takes no longer than handing it over.
constexpr std::uint64_t kInlineBytes = 64 << 10;

std::vector<paths::host::Range> ranges_of(const std::vector<Descriptor>& local,
                                          const std::vector<RemoteRange>& remote) {
  std::vector<paths::host::Range> ranges;
  ranges.reserve(local.size());
  for (std::size_t i = 0; i < local.size(); ++i)
    if (local[i].size() > 0)
      ranges.push_back({local[i].ptr(), remote[i].address, local[i].size()});
  return ranges;
}

// The lease of that metadata as system calls need it, in the process that was found to
// be the peer; the metadata alone could name any. Nothing if those calls cannot be
// used.
std::optional<paths::host::LeaseWord> lease_in_reach(const Peer& peer,
                                                     const RemoteAgent& agent) {
  const auto& extension = agent.extension();
  const auto pid = peer.pid();
  if (peer.is_cma_refused || !extension || !pid ||
      extension->lease.word_address % sizeof(std::uint64_t) != 0)
    return std::nullopt;
  return paths::host::LeaseWord{*pid, extension->lease.word_address,
                                extension->lease.token};
}

const wire::Export* find_export(const wire::Extension& extension,
                                const paths::host::Range& range) {
  const auto found = std::find_if(
      extension.exports.begin(), extension.exports.end(),
      [&](const wire::Export& each) { return each.covers(range.remote, range.size); });
  return found == extension.exports.end() ? nullptr : &*found;
}

// Why not all bytes were moved.
core::Failure failure_of(Fault fault) {
  switch (fault) {
    case Fault::kLeaseOver:
      return {ErrorKind::kCancelled,
              "the exposing side ended the operation before all bytes were moved; ask "
              "it for new metadata"};
    case Fault::kPeerGone:
      return {ErrorKind::kDisconnected,
              "the peer's process is gone; ask for new metadata"};
    case Fault::kLocalMemory:
      return {ErrorKind::kInvalidArgument,
              "host.cma: memory of this process is not mapped, or read-only though it "
              "is the target"};
    case Fault::kRemoteMemory:
      return {ErrorKind::kDisconnected,
              "host.cma: the peer's memory is not mapped any more, or read-only though "
              "it is the target; ask for new metadata"};
    case Fault::kNone:
    case Fault::kRefused:
      break;
  }
  return {ErrorKind::kCancelled, "stopped"};
}

}  // namespace

bool Dispatcher::try_start_copy(core::OperationId operation, Running& running) {
  running.copy = copy_of(running);
  if (!running.copy) return false;
  if (running.copy->pieces() > 1 || running.copy->bytes() > kInlineBytes) {
    copies_.add(operation, running.copy);
    return true;
  }
  while (running.copy->move_piece() != Copy::Step::kEnded) {
  }
  copy_ended(operation);
  return true;
}

// Null where UCX is to carry the bytes.
std::shared_ptr<Copy> Dispatcher::copy_of(const Running& running) {
  OperationState& state = *running.state;
  Peer* const peer = peers_.find(running.peer);
  if (peer == nullptr || state.size() == 0) return nullptr;
  if (resources_.may_use_map)
    if (auto copy = mapped_copy_of(running, *peer)) return copy;
  const auto lease = lease_in_reach(*peer, *running.agent);
  if (!resources_.may_use_cma || !lease) return nullptr;
  return std::make_shared<CmaCopy>(state.identity().kind, *lease,
                                   ranges_of(state.descriptors(), running.remote),
                                   state.bytes());
}

// Null if not all of the peer's memory can be mapped, or its leases cannot be seen.
std::shared_ptr<Copy> Dispatcher::mapped_copy_of(const Running& running, Peer& peer) {
  const auto& extension = running.agent->extension();
  const auto pid = peer.pid();
  if (!extension || extension->exports.empty() || !pid ||
      !peer.leases.is_valid(*extension))
    return nullptr;
  MappedCopy::Maps maps;
  std::vector<paths::host::Range> ranges =
      ranges_of(running.state->descriptors(), running.remote);
  const wire::Export* exported = nullptr;
  for (paths::host::Range& range : ranges) {
    if (exported == nullptr || !exported->covers(range.remote, range.size)) {
      exported = find_export(*extension, range);
      auto map = exported ? peer.memory.map(*pid, *exported) : nullptr;
      if (!map) return nullptr;
      maps.push_back(std::move(map));
    }
    range.remote = reinterpret_cast<std::uintptr_t>(maps.back()->data()) +
                   (range.remote - exported->address);
  }
  return std::make_shared<MappedCopy>(running.state->identity().kind, std::move(maps),
                                      std::move(ranges), running.state->bytes());
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
  if (channels_ && peers_.find(running.peer) == nullptr &&
      !is_under_way(running.peer, &Running::copy))
    channels_->close_all_of(running.peer);
  if (copy->fault() == Fault::kRefused && !copy->was_stopped())
    return start_over(operation);
  running.state->set_path(copy->path());
  running.is_lease_checked = copy->checks_lease();
  std::optional<core::Failure> failure;
  if (!copy->is_complete()) failure = failure_of(copy->fault());
  core_.transfer_ended(operation, std::move(failure), copy->bytes_moved(), copy->path(),
                       time_);
}

// The kernel does not let this process touch that one, or not any more.
void Dispatcher::start_over(core::OperationId operation) {
  if (Peer* const peer = peers_.find(running_.at(operation).peer); peer != nullptr)
    peer->is_cma_refused = true;
  base::log_info(
      "host.cma: the kernel forbids it towards a peer of this host (another user, a "
      "container, or kernel.yama.ptrace_scope); UCX carries the bytes");
  carry_out(core::StartTransfer{operation});
}

}  // namespace nixl_connect::runtime
