// SPDX-License-Identifier: Apache-2.0
//
// The memory of this Connector that is reachable, and the NIXL agent name under which
// its keys are handed out. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/emitted_keys.h"
#include "core/registrations.h"
#include "nixl_connect/descriptor.h"
#include "paths/ucx/context.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::paths::cuda {
struct DeviceAllocation;
}

namespace nixl_connect::runtime {

class Gpus;
class GpuUcx;
class Registrations;

// One descriptor's registration; none for an empty descriptor.
struct HeldRegistration {
  core::RegistrationId id = 0;
  // Of a GPU's memory: of all its allocation, and null if it is not for UCX.
  const paths::ucx::Registration* registration = nullptr;
  // Of that of a GPU.
  std::shared_ptr<const paths::cuda::DeviceAllocation> gpu_allocation{};
  std::shared_ptr<const paths::ucx::Registration> gpu_registration{};
};

// One operation's use of its descriptors' registrations, in their order. Released by
// the destructor; moves.
class RegistrationHold {
 public:
  RegistrationHold() = default;
  RegistrationHold(Registrations& registrations, std::vector<HeldRegistration> held)
      : registrations_(&registrations), held_(std::move(held)) {}
  RegistrationHold(RegistrationHold&& other) noexcept;
  RegistrationHold& operator=(RegistrationHold&& other) noexcept;
  ~RegistrationHold();

  bool is_empty() const noexcept { return held_.empty(); }
  std::size_t size() const noexcept { return held_.size(); }
  const paths::ucx::Registration* operator[](std::size_t index) const {
    return held_[index].registration;
  }
  const paths::cuda::DeviceAllocation* gpu_allocation(std::size_t index) const {
    return held_[index].gpu_allocation.get();
  }

 private:
  Registrations* registrations_ = nullptr;
  std::vector<HeldRegistration> held_;
};

class Registrations {
 public:
  Registrations(const paths::ucx::Context& context, Gpus& gpus, GpuUcx& gpu_ucx,
                std::string agent_base_name);

  // Registers what is not registered yet; all or nothing. Memory of GPUs for UCX only
  // if that carries it: for NIXL agents, or with this one. Throws what
  // paths::ucx::Registration and Gpus::allocation_of() throw.
  RegistrationHold acquire(std::span<const Descriptor> descriptors) {
    return acquire(descriptors, gpu_ucx_);
  }
  RegistrationHold acquire(std::span<const Descriptor> descriptors, GpuUcx& by);

  // The regions as peers need them, and the agent name that they may safely be handed
  // out under. The name changes when a peer that holds an older key of the same range
  // would refuse the new one. If NIXL agents can reach all of that memory, and it is of
  // GPUs, the connection is that of the GPUs' worker; otherwise it is left out.
  wire::AgentMetadata describe(std::span<const Descriptor> descriptors,
                               const RegistrationHold& hold);

  std::string agent_name() const;

  // For RegistrationHold.
  void release(std::span<const HeldRegistration> held) noexcept;

 private:
  struct GpuMemory {
    std::shared_ptr<const paths::cuda::DeviceAllocation> allocation;
    std::shared_ptr<const paths::ucx::Registration> by_ucx;
  };
  struct Registered {
    std::unique_ptr<const paths::ucx::Registration> by_ucx;  // memory of the host
    GpuMemory gpu_memory;
    // The same, but by another UCX than that for NIXL agents.
    GpuMemory of_other_ucx;
  };

  // An agent of this Connector, as peers know it.
  struct Agent {
    std::string name() const { return base_name + "-" + std::to_string(epoch); }

    std::string base_name;
    core::EmittedKeys emitted{};
    std::uint64_t epoch = 1;
  };

  std::vector<GpuMemory> gpu_memory_of(std::span<const Descriptor> descriptors,
                                       GpuUcx& by) const;

  // Whether NIXL agents can reach all of that memory, which is of a GPU.
  static bool have_gpu_keys(const RegistrationHold& hold);

  // All with mutex_ held.
  HeldRegistration acquire(const Descriptor& descriptor, const GpuMemory& gpu_memory,
                           const GpuUcx& by);
  void release_locked(std::span<const HeldRegistration> held) noexcept;
  void sweep_now_and_then();
  void forget(std::span<const core::RegistrationId> ids);
  static bool note_keys(Agent& agent, std::span<const wire::Region> regions);

  // Registrations kept between operations: enough for some lists of thousands.
  static constexpr std::size_t kMaxIdle = 16'384;

  const paths::ucx::Context& context_;
  Gpus& gpus_;
  GpuUcx& gpu_ucx_;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  core::RegistrationTable table_{kMaxIdle};
  std::size_t registered_since_sweep_ = 0;
  std::unordered_map<core::RegistrationId, Registered> registered_;
  Agent agent_;
  Agent gpu_agent_;  // of memory of GPUs: it has another worker
};

}  // namespace nixl_connect::runtime
