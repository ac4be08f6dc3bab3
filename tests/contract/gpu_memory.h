// SPDX-License-Identifier: Apache-2.0
//
// Memory of a GPU, by the driver that NIXL_CONNECT_CUDA_DRIVER names. Any thread, the
// destructor included. All throw Error, as where there is no such driver.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "contract/path.h"
#include "nixl_connect/device.h"
#include "paths/cuda/handles.h"

namespace nixl_connect::contract {

struct Gpu;

class GpuMemory {
 public:
  GpuMemory(MemoryKind kind, std::size_t size);
  ~GpuMemory();
  GpuMemory(const GpuMemory&) = delete;
  GpuMemory& operator=(const GpuMemory&) = delete;

  // For descriptors; the processor can touch nothing there.
  std::span<std::byte> bytes() const;
  Device device() const;

  void write(std::span<const std::byte> bytes) const;  // of all of it
  void fill(std::byte value) const;
  std::vector<std::byte> read() const;

 private:
  const Gpu& gpu_;
  const std::size_t size_;
  paths::cuda::DeviceMemory memory_;
};

}  // namespace nixl_connect::contract
