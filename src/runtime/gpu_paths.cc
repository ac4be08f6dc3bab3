// SPDX-License-Identifier: Apache-2.0
#include "runtime/gpu_paths.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "paths/cuda/allocations.h"
#include "paths/cuda/device_copy.h"
#include "paths/cuda/engine_sizes.h"
#include "paths/cuda/stream_points.h"
#include "paths/local/exposures.h"
#include "runtime/asked_keys.h"
#include "runtime/gpu_files.h"
#include "runtime/gpu_ucx.h"
#include "runtime/gpus.h"
#include "runtime/host_paths.h"
#include "runtime/peers.h"

namespace nixl_connect::runtime {
namespace {

using core::Facts;
using paths::cuda::CopyRoute;
using paths::cuda::CopyWork;
using paths::cuda::ForeignMemory;
using paths::cuda::PagedPair;

static_assert(core::Costs().engine_bytes == paths::cuda::kLeastEngineBytes);

// The GPU of the local memory, which is one; none for memory of the host.
std::optional<int> local_gpu(const Movement& movement) {
  if (movement.local.device().kind() != DeviceKind::kCuda) return std::nullopt;
  return movement.local.device().id();
}

Facts::Memory remote_kind(const RemoteRanges& ranges, Facts::Memory of_none) {
  const auto places = ranges.places();
  if (places.empty()) return of_none;
  const auto on_gpus = std::count_if(places.begin(), places.end(),
                                     [](const auto& each) { return each.is_of_gpu(); });
  if (on_gpus == 0) return Facts::Memory::kHost;
  return on_gpus == std::ssize(places) ? Facts::Memory::kGpu : Facts::Memory::kMixed;
}

bool has_other_gpus(const Movement& movement, int gpu) {
  const auto places = movement.remote.places();
  return std::any_of(places.begin(), places.end(), [gpu](const RemoteRange& range) {
    return range.is_of_gpu() &&
           range.region->device_id != static_cast<std::uint64_t>(gpu);
  });
}

// Each export in which a range lies, once, and how much of the ranges they hold.
struct Needed {
  std::vector<const wire::GpuExport*> exports;
  Facts::Exported exported = Facts::Exported::kNone;

  // To other GPUs of its own process, unless its owner has let these in.
  bool may_be_closed() const {
    return exported != Facts::Exported::kAll ||
           std::any_of(exports.begin(), exports.end(),
                       [](const auto* each) { return !each->handle; });
  }
};

Needed needed_by(const Movement& movement) {
  Needed needed;
  bool has_some = false;
  bool lacks_some = false;
  for (const RemoteRange& range : movement.remote.places()) {
    const wire::GpuExport* const each = range.gpu_export;
    (each != nullptr ? has_some : lacks_some) = true;
    auto& all = needed.exports;
    if (each != nullptr && std::find(all.begin(), all.end(), each) == all.end())
      all.push_back(each);
  }
  if (!lacks_some)
    needed.exported = Facts::Exported::kAll;  // be it none
  else if (has_some)
    needed.exported = Facts::Exported::kSome;
  return needed;
}

// Those that hold some of the range, behind the others; not the last one again.
void add_chunks(const RemoteRange& range, std::vector<const wire::GpuChunk*>& chunks) {
  const auto& all = range.gpu_export->chunks;
  auto chunk = std::upper_bound(all.begin(), all.end(), range.address,
                                [](std::uint64_t address, const wire::GpuChunk& each) {
                                  return address < each.address;
                                });
  const std::uint64_t end = range.address + range.size;
  for (--chunk; chunk != all.end() && chunk->address < end; ++chunk)
    if (chunks.empty() || chunks.back() != &*chunk) chunks.push_back(&*chunk);
}

CopyWork::ForeignPart part_of(const wire::GpuExport& exported,
                              const wire::ProcessId& owner) {
  const wire::GpuChunk& chunk = exported.chunks.front();
  CopyWork::ForeignPart part;
  part.memory = ForeignMemory{owner,
                              {{chunk.address, chunk.size, chunk.buffer_id}},
                              paths::cuda::CuIpcHandle{*exported.handle}};
  return part;
}

CopyWork::ForeignPart part_of(const wire::GpuChunk& chunk, const wire::ProcessId& owner,
                              GpuFiles::Mapping mapping) {
  CopyWork::ForeignPart part;
  part.memory = ForeignMemory{
      owner, {{chunk.address, chunk.size, chunk.buffer_id}}, std::nullopt};
  part.opened = std::move(mapping);
  return part;
}

// Until the memory is what its owner said it would be.
void wait_for_owner(const Movement& movement, bool is_own, CopyWork& work) {
  const auto& extension = movement.agent.extension();
  if (!extension || !extension->ready) return;
  const paths::cuda::CuIpcHandle handle{extension->ready->handle};
  if (!is_own) {
    work.after_foreign = paths::cuda::ForeignPoint{extension->owner(), handle};
  } else if (auto point = paths::cuda::find_point(handle)) {
    work.after.push_back(std::move(point));
  }
}

void add_ranges(const Movement& movement, CopyWork& work) {
  const bool is_read = movement.kind == OperationKind::kRead;
  const base::PagedMemory* const here = movement.local.paged();
  const base::PagedMemory* const there = movement.remote.paged();
  if (here != nullptr && there != nullptr) {
    work.paged.emplace(is_read ? PagedPair{*there, *here} : PagedPair{*here, *there});
    return;
  }
  const std::span<const LocalRange> local = movement.local.ranges();
  work.ranges.reserve(local.size());
  for (std::size_t i = 0; i < local.size(); ++i) {
    const RemoteRange& remote = movement.remote[i];
    if (local[i].size() == 0) continue;
    if (is_read)
      work.ranges.push_back({remote.address, local[i].ptr(), local[i].size()});
    else
      work.ranges.push_back({local[i].ptr(), remote.address, local[i].size()});
  }
}

bool is_all_of_host(const Facts& facts) {
  return facts.local_memory == Facts::Memory::kHost &&
         facts.remote_memory == Facts::Memory::kHost;
}

// What may be taken of the GPU, and what is waited for.
CopyWork work_for(const Movement& movement, const core::PathRules& rules) {
  CopyWork work;
  work.may_use_kernels = rules.may_use_sm;
  work.max_blocks = rules.max_blocks;
  if (movement.after) work.after.push_back(movement.after);
  return work;
}

void set_host_side(const Movement& movement, CopyWork& work) {
  const bool is_from_host =
      (movement.kind == OperationKind::kRead) == local_gpu(movement).has_value();
  work.host_side =
      is_from_host ? CopyWork::HostSide::kSources : CopyWork::HostSide::kTargets;
  work.route = is_from_host ? CopyRoute::kFromHost : CopyRoute::kToHost;
}

// It has said that it moves bytes from and to its GPUs, and can be asked to.
bool offers_to_serve(const Movement& movement, const Peer& peer) {
  const auto& extension = movement.agent.extension();
  return extension && extension->serves && peer.channel != nullptr &&
         !peer.is_in_this_process();
}

// Other GPUs of this process, in whose memory some of the ranges are.
void add_peers(const Movement& movement, CopyWork& work) {
  for (const RemoteRange& remote : movement.remote.places()) {
    if (!remote.is_of_gpu()) continue;
    const auto device = static_cast<paths::cuda::CuDevice>(remote.region->device_id);
    auto& peers = work.peers;
    if (device != work.device &&
        std::find(peers.begin(), peers.end(), device) == peers.end())
      peers.push_back(device);
  }
}

}  // namespace

// Of the peer's the exports, or else the regions.
std::vector<std::uint64_t> GpuPaths::walls_of(const Movement& movement, bool is_own) {
  std::vector<std::uint64_t> walls(movement.walls.begin(), movement.walls.end());
  if (!is_own) return walls;
  for (const RemoteRange& range : movement.remote.places()) {
    if (!range.is_of_gpu()) continue;
    const std::uint64_t start = range.gpu_export != nullptr
                                    ? range.gpu_export->chunks.front().address
                                    : range.region->address;
    if (walls.empty() || walls.back() != start) walls.push_back(start);
  }
  return walls;
}

GpuPaths::Files GpuPaths::files_behind(const Movement& movement) const {
  Files files{copying_gpu(movement, false), {}};
  auto& chunks = files.chunks;
  const auto places = movement.remote.places();
  if (std::none_of(places.begin(), places.end(), [](const RemoteRange& each) {
        return each.gpu_export != nullptr && !each.gpu_export->handle;
      }))
    return files;
  for (const RemoteRange& range : movement.remote)
    if (range.size > 0 && range.gpu_export != nullptr && !range.gpu_export->handle)
      add_chunks(range, chunks);
  std::sort(chunks.begin(), chunks.end());
  chunks.erase(std::unique(chunks.begin(), chunks.end()), chunks.end());
  return files;
}

bool GpuPaths::are_all_open(const Movement& movement) const {
  const Files files = files_behind(movement);
  const wire::ProcessId& owner = movement.agent.extension()->owner();
  return std::all_of(files.chunks.begin(), files.chunks.end(), [&](const auto* each) {
    return files_.find({owner, files.device, *each}) != nullptr;
  });
}

bool has_gpu_memory(const RemoteRanges& remote) {
  const auto places = remote.places();
  return std::any_of(places.begin(), places.end(),
                     [](const RemoteRange& each) { return each.is_of_gpu(); });
}

bool has_gpu_memory(const Movement& movement) {
  return local_gpu(movement) || has_gpu_memory(movement.remote);
}

void GpuPaths::add_facts_of_ucx(const Movement& movement, Facts& facts) const {
  if (is_all_of_host(facts)) return;
  GpuUcx& ucx = facts.is_ours ? gpu_ucx_of_ours_ : gpu_ucx_;
  facts.gpus.are_known_to_ucx =
      facts.is_ours ? ucx.may_open() : ucx.open(local_gpu(movement));
  if (!facts.gpus.are_known_to_ucx) facts.gpus.why_unknown_to_ucx = ucx.why_not();
  facts.gpus.are_known_to_peers_ucx = !facts.is_ours ||
                                      movement.agent.extension()->gives_keys ||
                                      !lack_keys(movement.remote);
}

bool GpuPaths::open_ucx(const Movement& movement, Facts& facts) const {
  if (!facts.is_ours || is_all_of_host(facts) ||
      gpu_ucx_of_ours_.open(local_gpu(movement)))
    return true;
  facts.gpus.are_known_to_ucx = false;
  facts.gpus.why_unknown_to_ucx = gpu_ucx_of_ours_.why_not();
  return false;
}

void GpuPaths::add_facts(const Movement& movement, const Peer& peer,
                         Facts& facts) const {
  const std::optional<int> gpu = local_gpu(movement);
  facts.local_memory = gpu ? Facts::Memory::kGpu : Facts::Memory::kHost;
  facts.remote_memory = remote_kind(movement.remote, facts.local_memory);
  // Nothing is asked of the driver for what cannot be.
  if (facts.remote_memory == Facts::Memory::kMixed ||
      (!gpu && facts.remote_memory == Facts::Memory::kHost))
    return;
  facts.gpus.does_peer_serve = offers_to_serve(movement, peer);
  if (!gpu) facts.is_local_allocated = is_allocated(movement.local.ranges());
  facts.gpus.has_driver = gpus_.driver() != nullptr;
  if (!facts.gpus.has_driver) facts.gpus.why_no_driver = gpus_.why_no_driver();
  if (!facts.gpus.has_driver || !movement.agent.extension()) return;
  const bool is_own = peer.is_in_this_process();
  const int copying = copying_gpu(movement, is_own);
  facts.gpus.has_kernel = gpus_.has_kernel(copying);
  if (facts.remote_memory == Facts::Memory::kHost) return;
  const wire::Extension& extension = *movement.agent.extension();
  const Needed needed = needed_by(movement);
  facts.gpus.exported = needed.exported;
  if (needed.exported != Facts::Exported::kAll && !extension.why_not_exported.empty())
    facts.gpus.why_not_exported =
        std::make_shared<const std::string>(extension.why_not_exported);
  facts.gpus.are_in_reach = std::all_of(
      needed.exports.begin(), needed.exports.end(),
      [&](const wire::GpuExport* each) { return gpus_.can_reach(copying, each->gpu); });
  // Such memory lets other GPUs in only if its owner has said so: to try would poison
  // the context.
  if (is_own && needed.may_be_closed() && has_other_gpus(movement, copying))
    facts.gpus.are_in_reach = false;
  if (!is_own && peer.channel == nullptr)
    facts.gpus.are_files_hidden = !are_all_open(movement);
}

int GpuPaths::copying_gpu(const Movement& movement, bool is_own) const {
  if (const auto local = local_gpu(movement)) return *local;
  const auto places = movement.remote.places();
  const auto found =
      std::find_if(places.begin(), places.end(),
                   [](const RemoteRange& range) { return range.is_of_gpu(); });
  if (is_own && found != places.end())
    return static_cast<int>(found->region->device_id);
  const Needed needed = needed_by(movement);
  if (needed.exports.empty()) return 0;
  return gpus_.number_of(needed.exports.front()->gpu).value_or(0);
}

std::shared_ptr<paths::cuda::DeviceCopy> GpuPaths::copy(
    const Movement& movement, Peer& peer, const core::PathRules& rules,
    std::atomic<std::uint64_t>& progress) {
  const bool is_own = peer.is_in_this_process();
  const bool is_remote_of_gpu =
      remote_kind(movement.remote, Facts::Memory::kGpu) == Facts::Memory::kGpu;
  CopyWork work = work_for(movement, rules);
  work.least_engine_bytes =
      std::min(least_engine_bytes_, paths::cuda::kMostEngineBytes);
  work.device = copying_gpu(movement, is_own);
  add_ranges(movement, work);
  if (is_own) add_peers(movement, work);
  wait_for_owner(movement, is_own, work);
  work.route =
      movement.kind == OperationKind::kRead ? CopyRoute::kFromPeer : CopyRoute::kToPeer;
  if (is_own && work.peers.empty()) work.route = CopyRoute::kWithinGpu;
  work.walls = walls_of(movement, is_own);
  if (is_own)
    work.exposure = paths::local::find(movement.agent.extension()->lease.token);
  if (is_own && !work.exposure) return nullptr;
  if (!is_own && is_remote_of_gpu && !add_foreign(movement, work)) return nullptr;
  const bool has_host_side = !local_gpu(movement) || !is_remote_of_gpu;
  if (has_host_side && work.paged)
    work.ranges = written_out(*std::exchange(work.paged, std::nullopt));
  if (has_host_side && !add_host_side(movement, peer, work)) return nullptr;
  return std::make_shared<paths::cuda::DeviceCopy>(std::move(work), progress);
}

std::shared_ptr<paths::cuda::DeviceCopy> GpuPaths::copy_of_slot(
    const Movement& movement, const core::PathRules& rules,
    paths::cuda::KeptPages ranges) {
  CopyWork work = work_for(movement, rules);
  work.device = *local_gpu(movement);
  work.ranges = std::move(ranges);
  work.walls = walls_of(movement, false);
  set_host_side(movement, work);
  if (!host_sides_.map_own(work)) return nullptr;
  return std::make_shared<paths::cuda::DeviceCopy>(std::move(work), no_progress_);
}

bool GpuPaths::is_to_be_prepared(const Movement& movement, bool is_own) {
  const auto& extension = movement.agent.extension();
  return movement.after || (extension && extension->ready) ||
         (!is_own && !local_gpu(movement));
}

std::shared_ptr<paths::cuda::DeviceCopy> GpuPaths::preparation(
    const Movement& movement, const Peer& peer,
    std::atomic<std::uint64_t>& progress) const {
  const bool is_own = peer.is_in_this_process();
  CopyWork work;
  work.only_prepares = true;
  work.device = copying_gpu(movement, is_own);
  if (movement.after) work.after.push_back(movement.after);
  wait_for_owner(movement, is_own, work);
  if (!is_own && !local_gpu(movement)) {
    add_ranges(movement, work);
    if (!add_foreign(movement, work)) return nullptr;
  }
  return std::make_shared<paths::cuda::DeviceCopy>(std::move(work), progress);
}

// False if the peer's memory cannot be opened.
bool GpuPaths::add_foreign(const Movement& movement, CopyWork& work) const {
  const wire::ProcessId& owner = movement.agent.extension()->owner();
  const Needed needed = needed_by(movement);
  if (needed.exported != Facts::Exported::kAll) return false;
  work.foreign_side = movement.kind == OperationKind::kRead
                          ? CopyWork::Foreign::kSources
                          : CopyWork::Foreign::kTargets;
  for (const wire::GpuExport* const each : needed.exports)
    if (each->handle) work.foreign.push_back(part_of(*each, owner));
  for (const wire::GpuChunk* const each : files_behind(movement).chunks) {
    auto mapping = files_.find({owner, work.device, *each});
    if (!mapping) return false;
    work.foreign.push_back(part_of(*each, owner, std::move(mapping)));
  }
  if (std::all_of(needed.exports.begin(), needed.exports.end(),
                  [&](const wire::GpuExport* each) {
                    return gpus_.is(work.device, each->gpu);
                  }))
    work.route = CopyRoute::kWithinGpu;
  return true;
}

// False if the host's memory cannot be mapped.
bool GpuPaths::add_host_side(const Movement& movement, Peer& peer, CopyWork& work) {
  set_host_side(movement, work);
  if (peer.is_in_this_process() || !local_gpu(movement))
    return host_sides_.map_own(work);
  return HostSides::map_of_peer(peer, *movement.agent.extension(), work);
}

}  // namespace nixl_connect::runtime
