// SPDX-License-Identifier: Apache-2.0
//
// The GPUs that this process sees. Values; no contexts are made. Any thread.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "paths/cuda/driver.h"

namespace nixl_connect::paths::cuda {

struct DeviceFacts {
  CuDevice device = 0;  // the ordinal, which other processes may count differently
  CuUuid uuid;          // the same in all processes
  std::string name;     // "NVIDIA H200"
  std::string pci_id;   // "0000:8d:00.0"
  int compute_capability = 0;  // 90: 9.0
  int multiprocessors = 0;
  bool exports_by_fd = false;      // memory, as VMM has it
  bool has_event_handles = false;  // events that other processes can open
};

// Throws as Driver::check().
std::vector<DeviceFacts> find_devices(const Driver& driver);

// That one of them; throws Error(kInvalidArgument) if it is none.
const DeviceFacts& facts_of(std::span<const DeviceFacts> devices, CuDevice device);

// "GPU 0 (NVIDIA H200)", for texts.
std::string text_of(const DeviceFacts& facts);

// Whether kernels of the first can reach memory of the second. A device reaches itself.
bool can_reach(const Driver& driver, CuDevice device, CuDevice peer);

}  // namespace nixl_connect::paths::cuda
