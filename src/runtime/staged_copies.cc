// SPDX-License-Identifier: Apache-2.0
#include "runtime/staged_copies.h"

#include <algorithm>
#include <utility>

#include "paths/cuda/staged_copy.h"
#include "paths/host/plain_copy.h"
#include "paths/host/process_memory.h"
#include "paths/local/exposures.h"
#include "runtime/gpu_paths.h"
#include "runtime/gpus.h"
#include "runtime/host_paths.h"
#include "runtime/peers.h"

namespace nixl_connect::runtime {
namespace {

using paths::cuda::HostMove;
using paths::cuda::StagedCopy;
using paths::cuda::StagedWork;
using paths::host::Range;
using Span = std::span<const Range>;

// What the slots get is soon read again; what they give may not be.
HostMove own_memory(bool is_streaming) {
  return [is_streaming](OperationKind kind, Span ranges) {
    return paths::host::copy_plainly(kind, ranges,
                                     is_streaming && kind == OperationKind::kWrite);
  };
}

// Of another process. None: it is not known which.
HostMove memory_of_peer(const Movement& movement, const Peer& peer) {
  const auto lease = lease_in_reach(peer, movement.agent);
  if (!lease) return nullptr;
  return [lease = *lease](OperationKind kind, Span ranges) {
    paths::host::Batch batch;
    for (const Range& range : ranges) batch.add(range);
    return batch.move(kind, lease);
  };
}

// As they were prepared, if they were.
paths::host::Ranges ranges_of(const Movement& movement,
                              std::span<const paths::cuda::Page> prepared) {
  if (prepared.empty()) return runtime::ranges_of(movement);
  const bool is_read = movement.kind == OperationKind::kRead;
  paths::host::Ranges ranges;
  ranges.reserve(prepared.size());
  for (const paths::cuda::Page& page : prepared)
    ranges.push_back({is_read ? page.target : page.source,
                      is_read ? page.source : page.target, page.size});
  return ranges;
}

// The kernel's, of each thread. Fewer than one for each: the copy engines do it all.
std::uint32_t blocks_of_thread(const core::PathRules& rules, unsigned threads) {
  const std::uint32_t usual = StagedWork().max_blocks;
  if (!rules.may_use_sm) return 0;
  if (rules.max_blocks == 0) return usual;
  return std::min<std::uint32_t>(rules.max_blocks / std::max(threads, 1U), usual);
}

}  // namespace

StagedCopies::StagedCopies(Gpus& gpus, const Settings& settings,
                           std::function<void()> ended)
    : gpus_(gpus),
      settings_(settings),
      pool_(settings.threads, std::move(ended),
            paths::host::CopyPool::Owner::kStaysAway) {}

StagedCopies::~StagedCopies() = default;

std::shared_ptr<paths::host::Copy> StagedCopies::copy(
    const Movement& movement, const Peer& peer, int gpu, const core::PathRules& rules,
    paths::cuda::DeviceCopy::Prepared prepared, std::atomic<std::uint64_t>& progress) {
  const bool is_read = movement.kind == OperationKind::kRead;
  paths::host::Ranges ranges = ranges_of(movement, prepared.ranges);
  std::uint64_t bytes = 0;
  for (const Range& range : ranges) bytes += range.size;
  const bool is_streaming = bytes >= settings_.streaming_bytes;
  StagedWork work;
  work.device = gpu;
  work.is_gpu_local = movement.local.device().kind() == DeviceKind::kCuda;
  work.max_blocks = blocks_of_thread(rules, settings_.threads);
  work.direction = is_read == work.is_gpu_local ? StagedWork::Direction::kToGpu
                                                : StagedWork::Direction::kFromGpu;
  const bool is_own = peer.is_in_this_process();
  work.walls = GpuPaths::walls_of(movement, is_own);
  for (const auto& each : prepared.held)
    work.walls.push_back(each->here(each->foreign_start()));
  std::sort(work.walls.begin(), work.walls.end());
  work.held = std::move(prepared.held);
  if (is_own)
    work.exposure = paths::local::find(movement.agent.extension()->lease.token);
  if (is_own && !work.exposure) return nullptr;
  const bool is_of_peer = work.is_gpu_local && !is_own;
  work.checks_lease = is_of_peer;
  work.move_host =
      is_of_peer ? memory_of_peer(movement, peer) : own_memory(is_streaming);
  if (!work.move_host) return nullptr;
  if (!staging_) staging_ = std::make_shared<paths::cuda::Staging>(*gpus_.driver());
  const bool is_target_of_host = is_read && !work.is_gpu_local;
  auto copy = std::make_shared<StagedCopy>(staging_, std::move(work), std::move(ranges),
                                           settings_.threads, progress);
  if (is_target_of_host) copy->prepare_target();
  return copy;
}

void StagedCopies::add(core::OperationId operation,
                       std::shared_ptr<paths::host::Copy> copy) {
  pool_.add(operation, std::move(copy));
}

}  // namespace nixl_connect::runtime
