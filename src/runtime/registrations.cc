// SPDX-License-Identifier: Apache-2.0
#include "runtime/registrations.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/log.h"
#include "runtime/gpu_ucx.h"
#include "runtime/gpus.h"

namespace nixl_connect::runtime {

using paths::cuda::DeviceAllocation;

namespace {

core::MemoryRange range_of(const Descriptor& descriptor) {
  return {descriptor.ptr(), descriptor.size(), descriptor.device()};
}

std::uint64_t hash_of(const base::Bytes& key) {
  return std::hash<std::string_view>()(base::as_text(key));
}

// Null if UCX carries no memory of GPUs, or not this: peers on this host, if they are
// ours, do without.
std::shared_ptr<const paths::ucx::Registration> registration_of(
    const DeviceAllocation& allocation, GpuUcx& by) {
  if (!by.open(allocation.device)) return nullptr;
  try {
    return by.registration_of(allocation);
  } catch (const Error& error) {
    base::log_warning("UCX cannot reach memory of cuda:" +
                      std::to_string(allocation.device) + ": " + error.what());
    return nullptr;
  }
}

}  // namespace

RegistrationHold::RegistrationHold(RegistrationHold&& other) noexcept
    : registrations_(other.registrations_), held_(std::exchange(other.held_, {})) {}

RegistrationHold& RegistrationHold::operator=(RegistrationHold&& other) noexcept {
  std::swap(registrations_, other.registrations_);
  held_.swap(other.held_);
  return *this;
}

RegistrationHold::~RegistrationHold() {
  if (!held_.empty()) registrations_->release(held_);
}

Registrations::Registrations(const paths::ucx::Context& context, Gpus& gpus,
                             GpuUcx& gpu_ucx, std::string agent_base_name)
    : context_(context),
      gpus_(gpus),
      gpu_ucx_(gpu_ucx),
      agent_{agent_base_name},
      gpu_agent_{std::move(agent_base_name) + "-gpu"} {}

RegistrationHold Registrations::acquire(std::span<const Descriptor> descriptors,
                                        GpuUcx& by) {
  std::vector<HeldRegistration> held;
  held.reserve(descriptors.size());
  // The driver may take its time, and others wait for the lock.
  const std::vector<GpuMemory> gpu_memory = gpu_memory_of(descriptors, by);
  const GpuMemory of_host;
  const std::lock_guard lock(mutex_);
  try {
    for (std::size_t i = 0; i < descriptors.size(); ++i)
      held.push_back(descriptors[i].size() == 0
                         ? HeldRegistration{}
                         : acquire(descriptors[i],
                                   gpu_memory.empty() ? of_host : gpu_memory[i], by));
  } catch (...) {
    release_locked(held);
    throw;
  }
  return {*this, std::move(held)};
}

// None for memory of the host.
std::vector<Registrations::GpuMemory> Registrations::gpu_memory_of(
    std::span<const Descriptor> descriptors, GpuUcx& by) const {
  std::vector<GpuMemory> memory;
  if (descriptors.empty() || descriptors[0].device().kind() != DeviceKind::kCuda)
    return memory;
  memory.reserve(descriptors.size());
  GpuMemory last;
  for (const Descriptor& each : descriptors) {
    const DeviceAllocation* const before = last.allocation.get();
    if (each.size() > 0) last.allocation = gpus_.allocation_of(each, last.allocation);
    if (last.allocation.get() != before)
      last.by_ucx = registration_of(*last.allocation, by);
    memory.push_back(last);
  }
  return memory;
}

HeldRegistration Registrations::acquire(const Descriptor& descriptor,
                                        const GpuMemory& gpu_memory, const GpuUcx& by) {
  const auto [id, is_new] = table_.acquire(range_of(descriptor), descriptor.owner());
  if (is_new) {
    try {
      sweep_now_and_then();
      Registered& made = registered_[id];
      if (!gpu_memory.allocation)
        made.by_ucx = std::make_unique<const paths::ucx::Registration>(
            context_, descriptor.ptr(), descriptor.size());
    } catch (...) {
      registered_.erase(id);
      table_.release_failed(id);
      throw;
    }
  }
  Registered& found = registered_.at(id);
  // It may be other memory than an operation on its way to its end still has.
  (&by == &gpu_ucx_ ? found.gpu_memory : found.of_other_ucx) = gpu_memory;
  return {id, gpu_memory.allocation ? gpu_memory.by_ucx.get() : found.by_ucx.get(),
          gpu_memory.allocation, gpu_memory.by_ucx};
}

wire::AgentMetadata Registrations::describe(std::span<const Descriptor> descriptors,
                                            const RegistrationHold& hold) {
  wire::AgentMetadata agent;
  const bool has_gpu_keys = have_gpu_keys(hold);
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    const Descriptor& each = descriptors[i];
    if (each.size() == 0) continue;
    if (hold.gpu_allocation(i) == nullptr) {
      agent.regions.push_back({wire::MemoryType::kDram, each.ptr(), each.size(), 0,
                               hold[i]->packed_rkey()});
      continue;
    }
    agent.regions.push_back({wire::MemoryType::kVram, each.ptr(), each.size(),
                             static_cast<std::uint64_t>(each.device().id()),
                             has_gpu_keys ? hold[i]->packed_rkey() : base::Bytes()});
  }
  if (has_gpu_keys) agent.connection = gpu_ucx_.address();
  const std::lock_guard lock(mutex_);
  Agent& ours = has_gpu_keys ? gpu_agent_ : agent_;
  if (!note_keys(ours, agent.regions)) {
    ++ours.epoch;
    ours.emitted.new_name();
    base::log_info(
        "memory was registered anew at an address that peers may know; they "
        "are told a fresh agent name");
    // More ranges than are remembered: then each operation gets a name of its own.
    (void)note_keys(ours, agent.regions);
  }
  agent.agent = ours.name();
  return agent;
}

// Those without a key are not for the peers that would mind.
bool Registrations::note_keys(Agent& agent, std::span<const wire::Region> regions) {
  return std::all_of(regions.begin(), regions.end(), [&](const wire::Region& region) {
    const Device device =
        region.memory == wire::MemoryType::kDram
            ? Device()
            : Device(DeviceKind::kCuda, static_cast<int>(region.device_id));
    return region.rkey.empty() ||
           agent.emitted.note({region.address, region.size, device},
                              hash_of(region.rkey));
  });
}

// UCX 1.22 makes a key of the first chunk only where there are several.
bool Registrations::have_gpu_keys(const RegistrationHold& hold) {
  bool has_some = false;
  for (std::size_t i = 0; i < hold.size(); ++i) {
    const DeviceAllocation* const allocation = hold.gpu_allocation(i);
    if (allocation == nullptr) continue;
    if (allocation->chunks.size() > 1 || hold[i] == nullptr ||
        hold[i]->packed_rkey().empty())
      return false;
    has_some = true;
  }
  return has_some;
}

std::string Registrations::agent_name() const {
  const std::lock_guard lock(mutex_);
  return agent_.name();
}

void Registrations::release(std::span<const HeldRegistration> held) noexcept {
  const std::lock_guard lock(mutex_);
  release_locked(held);
}

void Registrations::release_locked(std::span<const HeldRegistration> held) noexcept {
  for (const HeldRegistration& each : held)
    if (each.id != 0) forget(table_.release(each.id));
}

void Registrations::sweep_now_and_then() {
  // A sweep looks at every idle entry: so often that it costs a constant each time.
  constexpr std::size_t kAtLeast = 16;
  if (++registered_since_sweep_ < kAtLeast + table_.size() / 8) return;
  registered_since_sweep_ = 0;
  forget(table_.sweep());
}

void Registrations::forget(std::span<const core::RegistrationId> ids) {
  for (const core::RegistrationId id : ids) registered_.erase(id);
}

}  // namespace nixl_connect::runtime
