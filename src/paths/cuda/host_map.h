// SPDX-License-Identifier: Apache-2.0
//
// Memory of the host that some process shares, as a GPU of this one is to reach it. A
// value.
#pragma once

#include <cstdint>
#include <memory>

#include "base/shared_memory.h"
#include "paths/cuda/instance.h"

namespace nixl_connect::paths::cuda {

struct HostMap {
  std::shared_ptr<const base::SharedMemory> memory;
  Instance owner{};      // zeros: this process
  std::uint64_t id = 0;  // as base::ExportedMemory has it
};

}  // namespace nixl_connect::paths::cuda
