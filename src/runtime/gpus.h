// SPDX-License-Identifier: Apache-2.0
//
// The GPUs of this process, as a Connector needs them: what their memory is and how
// other processes can open it. The driver is opened when the first operation names
// memory of one. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nixl_connect/descriptor.h"
#include "paths/cuda/allocations.h"
#include "paths/cuda/devices.h"
#include "paths/cuda/handles.h"
#include "runtime/known_allocations.h"
#include "wire/gpu_exports.h"

namespace nixl_connect::runtime {

class Gpus {
 public:
  // `driver_file` as ConnectorOptions::cuda_driver has it.
  explicit Gpus(std::string driver_file) : driver_file_(std::move(driver_file)) {}

  // Null if there is none to use. It lives for ever.
  const paths::cuda::Driver* driver() { return opened().driver; }
  // "no CUDA driver: ..."
  std::shared_ptr<const std::string> why_no_driver();

  // Of the GPU with that number; null if this process sees none. There is a driver.
  const paths::cuda::DeviceFacts* facts_of(int number);

  // Whether that GPU runs the page kernel, if this library has it. There is a driver.
  bool has_kernel(int number);

  // In which a descriptor's memory of a GPU lies. `likely`, if it is not null, is asked
  // first, by its addresses alone: it was found a moment ago. The driver is not asked
  // again for an owner that lives, unless the memory was mapped: that may have been
  // changed under its address (vLLM's sleep mode does so). Throws
  // Error(kUnsupported) without a driver, Error(kInvalidArgument) if the memory is none
  // of that GPU, and what paths::cuda::find_allocation() throws.
  std::shared_ptr<const paths::cuda::DeviceAllocation> allocation_of(
      const Descriptor& descriptor,
      const std::shared_ptr<const paths::cuda::DeviceAllocation>& likely);

  // The same of each, none of which need follow another; gives where the allocations
  // begin.
  std::vector<std::uint64_t> check(std::span<const Descriptor> descriptors);

  // By which other processes open memory that is exported so. Throws what
  // paths::cuda::export_handle() throws.
  wire::CudaIpcHandle handle_of(const paths::cuda::DeviceAllocation& allocation);

  // The number of that GPU here; none if this process does not see it. There is a
  // driver.
  std::optional<int> number_of(const wire::GpuUuid& gpu);

  // The primary context of a GPU, from then on kept; without a number of any, rather
  // one that is kept already. There is a driver. Throws what PrimaryContext throws.
  paths::cuda::CuContext context_of(std::optional<int> number);

  // Whether kernels of the GPU with that number reach memory of the other one. One that
  // this process does not see it may reach. There is a driver.
  bool can_reach(int number, const wire::GpuUuid& other);

  // Whether the GPU with that number is the other one.
  bool is(int number, const wire::GpuUuid& other);

 private:
  struct Opened {
    const paths::cuda::Driver* driver = nullptr;
    std::string why_not;
    std::vector<paths::cuda::DeviceFacts> devices;
  };

  const Opened& opened();
  bool is_still(const paths::cuda::DeviceAllocation& allocation);

  const std::string driver_file_;
  std::once_flag once_;
  Opened opened_;

  KnownAllocations known_;

  std::mutex mutex_;
  // Guarded by mutex_. They stay, as the memory's own user has them anyhow.
  std::map<paths::cuda::CuDevice, paths::cuda::PrimaryContext> contexts_;
  std::map<std::pair<int, paths::cuda::CuDevice>, bool> reach_;
};

}  // namespace nixl_connect::runtime
