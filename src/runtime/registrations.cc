// SPDX-License-Identifier: Apache-2.0
#include "runtime/registrations.h"

#include <functional>
#include <utility>

#include "base/log.h"
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
                             std::string agent_base_name)
    : context_(context), gpus_(gpus), agent_base_name_(std::move(agent_base_name)) {}

RegistrationHold Registrations::acquire(std::span<const Descriptor> descriptors) {
  std::vector<HeldRegistration> held;
  held.reserve(descriptors.size());
  // The driver may take its time, and others wait for the lock.
  const auto allocations = gpu_allocations_of(descriptors);
  const std::lock_guard lock(mutex_);
  try {
    for (std::size_t i = 0; i < descriptors.size(); ++i)
      held.push_back(descriptors[i].size() == 0
                         ? HeldRegistration{}
                         : acquire(descriptors[i],
                                   allocations.empty() ? nullptr : allocations[i]));
  } catch (...) {
    release_locked(held);
    throw;
  }
  return {*this, std::move(held)};
}

// None for memory of the host.
std::vector<Registrations::GpuAllocation> Registrations::gpu_allocations_of(
    std::span<const Descriptor> descriptors) const {
  std::vector<GpuAllocation> allocations;
  if (descriptors.empty() || descriptors[0].device().kind() != DeviceKind::kCuda)
    return allocations;
  allocations.reserve(descriptors.size());
  GpuAllocation last;
  for (const Descriptor& each : descriptors) {
    if (each.size() > 0) last = gpus_.allocation_of(each, last);
    allocations.push_back(last);
  }
  return allocations;
}

HeldRegistration Registrations::acquire(const Descriptor& descriptor,
                                        GpuAllocation gpu_allocation) {
  const auto [id, is_new] = table_.acquire(range_of(descriptor), descriptor.owner());
  if (is_new) {
    try {
      sweep_now_and_then();
      Registered& made = registered_[id];
      if (!gpu_allocation)
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
  found.gpu_allocation = gpu_allocation;
  return {id, found.by_ucx.get(), std::move(gpu_allocation)};
}

wire::AgentMetadata Registrations::describe(std::span<const Descriptor> descriptors,
                                            const RegistrationHold& hold) {
  wire::AgentMetadata agent;
  bool has_gpus = false;
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    const Descriptor& each = descriptors[i];
    if (hold[i] != nullptr)
      agent.regions.push_back({wire::MemoryType::kDram, each.ptr(), each.size(), 0,
                               hold[i]->packed_rkey()});
    if (hold.gpu_allocation(i) == nullptr) continue;
    has_gpus = true;
    agent.regions.push_back({wire::MemoryType::kVram,
                             each.ptr(),
                             each.size(),
                             static_cast<std::uint64_t>(each.device().id()),
                             {}});
  }
  const std::lock_guard lock(mutex_);
  if (!note_keys(descriptors, hold)) {
    ++epoch_;
    emitted_.new_name();
    base::log_info(
        "memory was registered anew at an address that peers may know; they "
        "are told a fresh agent name");
    // More ranges than are remembered: then each operation gets a name of its own.
    (void)note_keys(descriptors, hold);
  }
  agent.agent = agent_name_locked();
  // Genuine agents drop one of whose keys they cannot make use: not that of the host's
  // memory.
  if (has_gpus) agent.agent += "-gpu";
  return agent;
}

bool Registrations::note_keys(std::span<const Descriptor> descriptors,
                              const RegistrationHold& hold) {
  for (std::size_t i = 0; i < descriptors.size(); ++i)
    if (hold[i] != nullptr &&
        !emitted_.note(range_of(descriptors[i]), hash_of(hold[i]->packed_rkey())))
      return false;
  return true;
}

std::string Registrations::agent_name() const {
  const std::lock_guard lock(mutex_);
  return agent_name_locked();
}

std::string Registrations::agent_name_locked() const {
  return agent_base_name_ + "-" + std::to_string(epoch_);
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
