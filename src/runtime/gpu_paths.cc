// SPDX-License-Identifier: Apache-2.0
#include "runtime/gpu_paths.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "paths/cuda/device_copy.h"
#include "paths/cuda/stream_points.h"
#include "runtime/gpus.h"
#include "runtime/host_paths.h"

namespace nixl_connect::runtime {
namespace {

using core::Facts;
using paths::cuda::CopyWork;
using paths::cuda::ForeignMemory;

bool is_of_gpu(const RemoteRange& range) {
  return range.region != nullptr && range.region->memory == wire::MemoryType::kVram;
}

Facts::Memory kind_of(std::size_t on_gpus, std::size_t all) {
  if (on_gpus == 0) return Facts::Memory::kHost;
  return on_gpus == all ? Facts::Memory::kGpu : Facts::Memory::kMixed;
}

// The GPU of the local memory, which is one; none for memory of the host.
std::optional<int> local_gpu(const Movement& movement) {
  if (movement.device.kind() != DeviceKind::kCuda) return std::nullopt;
  return movement.device.id();
}

Facts::Memory remote_kind(std::span<const RemoteRange> ranges, Facts::Memory of_none) {
  std::size_t all = 0;
  std::size_t on_gpus = 0;
  for (const RemoteRange& range : ranges) {
    if (range.size == 0) continue;
    ++all;
    if (is_of_gpu(range)) ++on_gpus;
  }
  if (all == 0) return of_none;
  return kind_of(on_gpus, all);
}

bool has_other_gpus(const Movement& movement, int gpu) {
  return std::any_of(
      movement.remote.begin(), movement.remote.end(), [gpu](const RemoteRange& range) {
        return is_of_gpu(range) &&
               range.region->device_id != static_cast<std::uint64_t>(gpu);
      });
}

// Finds exports in which ranges lie that mostly follow each other.
class GpuExportFinder {
 public:
  explicit GpuExportFinder(std::span<const wire::GpuExport> exports)
      : exports_(exports) {}

  // Null if the range lies in none that can be opened.
  const wire::GpuExport* find(const RemoteRange& range) {
    const auto covers = [&](const wire::GpuExport& each) {
      return each.handle && each.covers(range.address, range.size);
    };
    if (last_ != nullptr && covers(*last_)) return last_;
    const auto found = std::find_if(exports_.begin(), exports_.end(), covers);
    last_ = found == exports_.end() ? nullptr : &*found;
    return last_;
  }

 private:
  const std::span<const wire::GpuExport> exports_;
  const wire::GpuExport* last_ = nullptr;
};

// Each export in which a range lies, once, and how much of the ranges they hold.
struct Needed {
  std::vector<const wire::GpuExport*> exports;
  Facts::Exported exported = Facts::Exported::kNone;
};

Needed needed_by(const Movement& movement) {
  Needed needed;
  GpuExportFinder finder(movement.agent.extension()->gpu_exports);
  bool has_some = false;
  bool lacks_some = false;
  for (const RemoteRange& range : movement.remote) {
    if (range.size == 0) continue;
    const wire::GpuExport* const found = finder.find(range);
    (found != nullptr ? has_some : lacks_some) = true;
    auto& all = needed.exports;
    if (found != nullptr && std::find(all.begin(), all.end(), found) == all.end())
      all.push_back(found);
  }
  if (has_some)
    needed.exported = lacks_some ? Facts::Exported::kSome : Facts::Exported::kAll;
  return needed;
}

CopyWork::ForeignPart foreign_part(const wire::GpuExport& exported,
                                   const wire::InstanceId& owner) {
  ForeignMemory memory{owner, {}, paths::cuda::CuIpcHandle{*exported.handle}};
  for (const wire::GpuChunk& chunk : exported.chunks)
    memory.chunks.push_back({chunk.address, chunk.size, chunk.buffer_id});
  return {std::move(memory), {}};
}

// Until the memory is what its owner said it would be.
void wait_for_owner(const Movement& movement, bool is_own, CopyWork& work) {
  const auto& extension = movement.agent.extension();
  if (!extension || !extension->ready) return;
  const paths::cuda::CuIpcHandle handle{extension->ready->handle};
  if (!is_own) {
    work.after_foreign = paths::cuda::ForeignPoint{extension->instance, handle};
  } else if (auto point = paths::cuda::find_point(handle)) {
    work.after.push_back(std::move(point));
  }
}

}  // namespace

void GpuPaths::add_facts(const Movement& movement, bool is_own, Facts& facts) const {
  const std::optional<int> gpu = local_gpu(movement);
  facts.local_memory = gpu ? Facts::Memory::kGpu : Facts::Memory::kHost;
  facts.remote_memory = remote_kind(movement.remote, facts.local_memory);
  // Nothing is asked of the driver for what cannot be.
  if (!gpu || facts.remote_memory != Facts::Memory::kGpu) return;
  facts.gpus.has_driver = gpus_.driver() != nullptr;
  if (!facts.gpus.has_driver) facts.gpus.why_no_driver = gpus_.why_no_driver();
  if (!facts.gpus.has_driver || !movement.agent.extension()) return;
  const Needed needed = needed_by(movement);
  facts.gpus.exported = needed.exported;
  if (needed.exported != Facts::Exported::kAll)
    facts.gpus.why_not_exported = std::make_shared<const std::string>(
        "it is of a pool (cudaMallocAsync) or was mapped (cuMemMap, as torch's "
        "expandable segments are), which this version does not open");
  facts.gpus.are_in_reach = std::all_of(
      needed.exports.begin(), needed.exports.end(),
      [&](const wire::GpuExport* each) { return gpus_.can_reach(*gpu, each->gpu); });
  // Such memory lets other GPUs in only if its owner has said so: to try would poison
  // the context.
  if (is_own && needed.exported != Facts::Exported::kAll &&
      has_other_gpus(movement, *gpu))
    facts.gpus.are_in_reach = false;
}

std::shared_ptr<paths::cuda::DeviceCopy> GpuPaths::copy(
    const Movement& movement, bool is_own, const core::PathRules& rules,
    std::atomic<std::uint64_t>& progress) const {
  const bool is_read = movement.kind == OperationKind::kRead;
  CopyWork work;
  work.may_use_kernels = rules.may_use_sm;
  work.max_blocks = rules.max_blocks;
  work.device = local_gpu(movement).value_or(0);
  for (std::size_t i = 0; i < movement.local.size(); ++i) {
    const LocalRange& local = movement.local[i];
    const RemoteRange& remote = movement.remote[i];
    if (local.size() == 0) continue;
    if (is_read)
      work.ranges.push_back({remote.address, local.ptr(), local.size()});
    else
      work.ranges.push_back({local.ptr(), remote.address, local.size()});
    const auto device = static_cast<paths::cuda::CuDevice>(remote.region->device_id);
    auto& peers = work.peers;
    if (is_own && device != work.device &&
        std::find(peers.begin(), peers.end(), device) == peers.end())
      peers.push_back(device);
  }
  if (movement.after) work.after.push_back(movement.after);
  wait_for_owner(movement, is_own, work);
  bool is_within_gpu = work.peers.empty();
  if (!is_own) {
    const Needed needed = needed_by(movement);
    if (needed.exported != Facts::Exported::kAll) return nullptr;
    work.foreign_side =
        is_read ? CopyWork::Foreign::kSources : CopyWork::Foreign::kTargets;
    for (const wire::GpuExport* const each : needed.exports)
      work.foreign.push_back(foreign_part(*each, movement.agent.extension()->instance));
    is_within_gpu = std::all_of(
        needed.exports.begin(), needed.exports.end(),
        [&](const wire::GpuExport* each) { return gpus_.is(work.device, each->gpu); });
  }
  using paths::cuda::CopyRoute;
  work.route = is_read ? CopyRoute::kFromPeer : CopyRoute::kToPeer;
  if (is_within_gpu) work.route = CopyRoute::kWithinGpu;
  return std::make_shared<paths::cuda::DeviceCopy>(std::move(work), progress);
}

}  // namespace nixl_connect::runtime
