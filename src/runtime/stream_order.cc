// SPDX-License-Identifier: Apache-2.0
#include "runtime/stream_order.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "nixl_connect/error.h"
#include "runtime/gpus.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::runtime {

using paths::cuda::CuStream;
using paths::cuda::DeviceFacts;
using paths::cuda::EventReach;
using paths::cuda::StreamPointPtr;

namespace {

CuStream handle_of(const CudaStream& stream) {
  return static_cast<CuStream>(stream.handle);
}

// Of the memory; null if not a byte of it is on one.
const DeviceFacts* gpu_of(Gpus& gpus, std::span<const Descriptor> descriptors) {
  const auto found =
      std::find_if(descriptors.begin(), descriptors.end(),
                   [](const Descriptor& each) { return each.size() > 0; });
  if (found == descriptors.end() || found->device().kind() != DeviceKind::kCuda)
    return nullptr;
  return gpus.facts_of(found->device().id());
}

StreamPointPtr record(Gpus& gpus, const DeviceFacts* gpu,
                      const OperationOptions& options, EventReach reach) {
  if (!options.stream || gpu == nullptr) return nullptr;
  return record_point(*gpus.driver(), gpu->device, handle_of(*options.stream), reach);
}

// Who has the key need not look at the event.
bool has_key(const wire::Region& region) {
  return region.memory == wire::MemoryType::kVram && !region.rkey.empty();
}

void take_keys(std::vector<wire::Region>& regions) {
  for (wire::Region& region : regions)
    if (has_key(region)) region.rkey.clear();
  base::log_info(
      "metadata of memory of a GPU, whose stream has not come by yet, is for "
      "Connectors only: for NIXL agents synchronise before, or set wait_for_streams");
}

}  // namespace

void check_stream(std::span<const Descriptor> descriptors,
                  const OperationOptions& options) {
  if (options.stream && descriptors[0].device().kind() != DeviceKind::kCuda)
    throw Error(ErrorKind::kInvalidArgument,
                "a stream orders operations on memory of a GPU, and this is " +
                    to_string(descriptors[0].device()) + "; leave the stream out");
}

StreamPointPtr point_of(Gpus& gpus, std::span<const Descriptor> descriptors,
                        const OperationOptions& options) {
  return record(gpus, gpu_of(gpus, descriptors), options, EventReach::kThisProcess);
}

Readiness readiness_of(Gpus& gpus, std::span<const Descriptor> descriptors,
                       const OperationOptions& options, bool waits_for_agents) {
  const DeviceFacts* const gpu = gpu_of(gpus, descriptors);
  if (gpu == nullptr) return {};
  return {record(gpus, gpu, options,
                 gpu->has_event_handles ? EventReach::kAllProcesses
                                        : EventReach::kThisProcess),
          gpu->uuid.bytes, waits_for_agents};
}

std::shared_ptr<StreamWaits> stream_waits_for(Gpus& gpus,
                                              std::span<const Descriptor> descriptors) {
  const DeviceFacts* const gpu = gpu_of(gpus, descriptors);
  if (gpu == nullptr) return nullptr;
  return std::make_shared<StreamWaits>(*gpus.driver(), gpu->device);
}

void Readiness::tell(wire::AgentMetadata& agent) const {
  if (!point || point->has_come()) return;
  const bool is_for_agents =
      std::any_of(agent.regions.begin(), agent.regions.end(), has_key);
  if (!point->handle() || (is_for_agents && waits_for_agents)) return point->await();
  if (is_for_agents) take_keys(agent.regions);
  agent.extension->ready = wire::ReadyEvent{gpu, point->handle()->bytes};
}

void StreamWaits::allow() noexcept {
  {
    const std::lock_guard lock(mutex_);
    are_allowed_ = true;
  }
  changed_.notify_all();
}

bool StreamWaits::are_allowed() {
  const std::lock_guard lock(mutex_);
  return may_add();
}

void StreamWaits::keep_away(bool is_on) noexcept {
  {
    const std::lock_guard lock(mutex_);
    is_on ? ++kept_away_ : --kept_away_;
  }
  changed_.notify_all();
}

std::shared_ptr<const void> StreamWaits::keep_away(
    const std::shared_ptr<StreamWaits>& all) {
  all->keep_away(true);
  std::shared_ptr<const void> away(all.get(),
                                   [all](const void*) { all->keep_away(false); });
  const std::lock_guard lock(all->mutex_);
  return all->has_any_ ? nullptr : away;
}

void StreamWaits::add(const CudaStream& stream) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return may_add(); });
  has_any_ = true;
  if (!flag_ && !has_ended_) {
    lock.unlock();
    paths::cuda::EndFlag made(driver_, number_);
    lock.lock();
    if (!flag_ && !has_ended_) flag_ = std::move(made);
  }
  if (has_ended_) return;
  const paths::cuda::EndWait wait = flag_.wait();
  lock.unlock();
  wait.put_on(handle_of(stream));
}

void StreamWaits::end() noexcept {
  {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
    flag_.raise();
  }
  changed_.notify_all();
}

}  // namespace nixl_connect::runtime
