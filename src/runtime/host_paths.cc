// SPDX-License-Identifier: Apache-2.0
#include "runtime/host_paths.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "paths/host/cma_copy.h"
#include "paths/host/mapped_copy.h"
#include "paths/local/exposures.h"
#include "paths/local/local_copy.h"
#include "runtime/exports.h"
#include "runtime/fetches.h"
#include "runtime/gpu_paths.h"
#include "runtime/peers.h"

namespace nixl_connect::runtime {
namespace {

using core::Facts;
using paths::host::CmaCopy;
using paths::host::Fault;
using paths::host::LeaseWord;
using paths::host::MappedCopy;
using paths::host::Range;
using paths::host::Ranges;
using paths::local::LocalCopy;

// The export in which all ranges lie; null if there is no such one.
const wire::Export* only_export_of(const Movement& movement) {
  std::uint64_t begin = UINT64_MAX;
  std::uint64_t end = 0;
  for (const RemoteRange& range : movement.remote) {
    if (range.size == 0) continue;
    begin = std::min(begin, range.address);
    end = std::max(end, range.address + range.size);
  }
  const auto& exports = movement.agent.extension()->exports;
  return begin < end ? ExportFinder(exports).find(begin, end - begin) : nullptr;
}

Facts::Exported exported_of(const Movement& movement) {
  const wire::Extension& extension = *movement.agent.extension();
  if (extension.exports.empty()) return Facts::Exported::kNone;
  if (only_export_of(movement) != nullptr) return Facts::Exported::kAll;
  ExportFinder exports(extension.exports);
  bool has_some = false;
  bool lacks_some = false;
  for (const RemoteRange& range : movement.remote) {
    if (range.size == 0) continue;
    (exports.find(range.address, range.size) ? has_some : lacks_some) = true;
    if (has_some && lacks_some) return Facts::Exported::kSome;
  }
  return lacks_some ? Facts::Exported::kNone : Facts::Exported::kAll;
}

// As its metadata says, which may not be true.
Device device_of(const RemoteRange& range) {
  if (!range.is_of_gpu()) return {};
  return Device(DeviceKind::kCuda, static_cast<int>(range.region->device_id));
}

bool is_exposed_here(const Movement& movement) {
  const auto exposure = paths::local::find(movement.agent.extension()->lease.token);
  if (!exposure) return false;
  const auto held = exposure->hold();
  if (!held.owns_lock()) return false;
  const std::span<const RemoteRange> whole = movement.remote.whole();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const RemoteRange& range = whole[i];
    if (range.size > 0 &&
        !exposure->covers(i, range.address, range.size, device_of(range)))
      return false;
  }
  return true;
}

// From the exports' addresses to those of their maps: by what `map` says is to be
// added. False if a range lies in no export, or in one that it cannot map.
template <typename Map>
bool shift_each(std::span<Range> ranges, std::span<const wire::Export> exports,
                const Map& map) {
  ExportFinder finder(exports);
  const wire::Export* last = nullptr;
  std::optional<std::uint64_t> shift;
  for (Range& range : ranges) {
    const wire::Export* const exported = finder.find(range.remote, range.size);
    if (exported == nullptr) return false;
    if (exported != std::exchange(last, exported)) shift = map(*exported);
    if (!shift) return false;
    range.remote += *shift;
  }
  return true;
}

// As far as the peer tells where it is.
void compare_places(const base::Place& theirs, Facts& facts) {
  const base::Place ours = base::place_of_this_process();
  // What is unknown is zero, and counts as the same.
  const auto is_same = [](std::uint64_t a, std::uint64_t b) {
    return a == 0 || b == 0 || a == b;
  };
  if (theirs.boot == base::Place().boot || ours.boot == base::Place().boot) return;
  facts.where =
      theirs.boot == ours.boot ? Facts::Where::kThisHost : Facts::Where::kElsewhere;
  facts.is_same_user = theirs.user == ours.user;
  facts.is_same_pid_namespace = is_same(theirs.pid_namespace, ours.pid_namespace);
  facts.is_same_network = is_same(theirs.network_namespace, ours.network_namespace);
}

}  // namespace

Ranges ranges_of(const Movement& movement, std::uint64_t shift) {
  Ranges ranges;
  const std::span<const LocalRange> local = movement.local.ranges();
  ranges.reserve(local.size());
  for (std::size_t i = 0; i < local.size(); ++i)
    if (local[i].size() > 0)
      ranges.push_back(
          {local[i].ptr(), movement.remote[i].address + shift, local[i].size()});
  return ranges;
}

std::optional<paths::host::LeaseWord> lease_in_reach(const Peer& peer,
                                                     const RemoteAgent& agent) {
  const auto& extension = agent.extension();
  const auto pid = peer.pid();
  if (!extension || !pid || extension->lease.word_address % sizeof(std::uint64_t) != 0)
    return std::nullopt;
  return LeaseWord{*pid, extension->lease.word_address, extension->lease.token};
}

bool is_within_reach(const base::Place& place) {
  Facts facts;
  compare_places(place, facts);
  return facts.where == Facts::Where::kThisHost && facts.is_same_user &&
         facts.is_same_network;
}

core::Choice HostPaths::choose(const Movement& movement, Peer& peer,
                               const core::PathRules& rules,
                               const Closed& closed) const {
  const core::PathSet& failed = closed.paths;
  core::Work work;
  work.threads = settings_.copy_threads;
  work.bytes = movement.local.size();
  work.ranges = movement.local.count_with_bytes();
  Facts known = facts(movement, peer);
  if (failed.has(core::Path::kLocal)) known.is_exposed_here = false;
  if (failed.has(core::Path::kHostMap)) known.is_map_refused = true;
  if (failed.has(core::Path::kHostCma)) known.is_cma_refused = true;
  if (failed.has(core::Path::kCudaPeer)) known.gpus.is_open_refused = true;
  if (failed.has(core::Path::kCudaStaged))
    (closed.why_not_opened ? known.gpus.is_open_refused
                           : known.gpus.is_staging_refused) = true;
  known.gpus.why_refused = closed.why_not_opened;
  known.gpus.why_staging_refused = closed.why_not_staged;
  known.gpus.why_not_served = closed.why_not_served;
  core::Choice choice = core::choose(work, known, rules, costs_);
  if (choice.path != core::Path::kUcx || gpu_paths_.open_ucx(movement, known))
    return choice;
  return core::choose(work, known, rules, costs_);
}

Facts HostPaths::facts(const Movement& movement, Peer& peer) const {
  Facts facts;
  const bool is_own = peer.is_in_this_process();
  gpu_paths_.add_facts(movement, peer, facts);
  const auto& extension = movement.agent.extension();
  facts.is_host_forbidden = settings_.is_host_forbidden;
  facts.is_ours = extension.has_value();
  gpu_paths_.add_facts_of_ucx(movement, facts);
  if (settings_.is_host_forbidden || !facts.is_ours) return facts;
  if (is_own) {
    facts.where = Facts::Where::kThisProcess;
    facts.is_exposed_here = is_exposed_here(movement);
  } else if (peer.pid()) {
    facts.where = Facts::Where::kThisHost;
  } else if (extension->place) {
    compare_places(*extension->place, facts);
  }
  facts.exported = exported_of(movement);
  facts.are_leases_seen = peer.leases.is_valid(*extension).has_value() ||
                          fetches_.may_have_leases(peer, *extension);
  // A read looks at the lease when it has its data. A write has to be over before the
  // peer gives its memory up, and the loss of a connection of UCX does not mean that.
  facts.is_write_unwatched =
      movement.kind == OperationKind::kWrite && peer.channel == nullptr;
  if (const auto lease = lease_in_reach(peer, movement.agent)) {
    facts.is_process_known = true;
    if (!std::exchange(peer.is_cma_tried, true) && look(*lease) == Fault::kRefused)
      peer.set_cma_refused();
    facts.cma_refusal = peer.cma_refusal;
    facts.is_cma_refused = facts.cma_refusal != nullptr;
  }
  return facts;
}

HostPaths::CopyPtr HostPaths::copy(core::Path path, const Movement& movement,
                                   Peer& peer,
                                   std::atomic<std::uint64_t>& progress) const {
  switch (path) {
    case core::Path::kLocal:
      return local_copy(movement, progress);
    case core::Path::kHostMap:
      return mapped_copy(movement, peer, progress);
    case core::Path::kHostCma:
      return cma_copy(movement, peer, progress);
    case core::Path::kCudaPeer:
    case core::Path::kCudaStaged:
    case core::Path::kUcx:
      break;
  }
  return nullptr;
}

HostPaths::CopyPtr HostPaths::local_copy(const Movement& movement,
                                         std::atomic<std::uint64_t>& progress) const {
  auto exposure = paths::local::find(movement.agent.extension()->lease.token);
  if (!exposure) return nullptr;
  return std::make_shared<LocalCopy>(movement.kind, std::move(exposure),
                                     ranges_of(movement), costs_.streaming_bytes,
                                     progress);
}

// Null if not all of the peer's memory can be mapped, or its leases cannot be seen.
HostPaths::CopyPtr HostPaths::mapped_copy(const Movement& movement, Peer& peer,
                                          std::atomic<std::uint64_t>& progress) const {
  const wire::Extension& extension = *movement.agent.extension();
  if (!peer.leases.is_valid(extension)) return nullptr;
  MappedCopy::Maps maps;
  const auto map = [&](const wire::Export& exported) -> std::optional<std::uint64_t> {
    auto made =
        peer.memory.map(peer.pid(), exported, base::SharedMemory::Access::kReadWrite);
    if (!made) return std::nullopt;
    maps.push_back(std::move(made));
    return reinterpret_cast<std::uintptr_t>(maps.back()->data()) - exported.address;
  };
  Ranges ranges;
  if (const wire::Export* const only = only_export_of(movement)) {
    const auto shift = map(*only);
    if (!shift) return nullptr;
    ranges = ranges_of(movement, *shift);
  } else {
    ranges = ranges_of(movement);
    if (!shift_each(ranges, extension.exports, map)) return nullptr;
  }
  return std::make_shared<MappedCopy>(movement.kind, std::move(maps), std::move(ranges),
                                      costs_.streaming_bytes, progress);
}

HostPaths::CopyPtr HostPaths::cma_copy(const Movement& movement, const Peer& peer,
                                       std::atomic<std::uint64_t>& progress) {
  const auto lease = lease_in_reach(peer, movement.agent);
  if (!lease) return nullptr;
  return std::make_shared<CmaCopy>(movement.kind, *lease, ranges_of(movement),
                                   progress);
}

}  // namespace nixl_connect::runtime
