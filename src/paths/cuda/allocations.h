// SPDX-License-Identifier: Apache-2.0
//
// What an address is to CUDA: which GPU has the memory, of which allocation it is part,
// and by what another process can have it. Asked once, when memory is registered. Any
// thread; exporting needs a context of that GPU to be current there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "paths/cuda/driver.h"

namespace nixl_connect::paths::cuda {

// An allocation, or of memory that was mapped (VMM, torch's expandable segments) one of
// the allocations that lie side by side there.
struct MemoryChunk {
  CuDevicePointer start = 0;
  std::uint64_t size = 0;
  std::uint64_t buffer_id = 0;  // no other memory of the process ever has it

  bool operator==(const MemoryChunk&) const = default;
};

struct DeviceAllocation {
  enum class Export {
    kNone,
    kIpcHandle,  // of the one chunk
    kFiles,      // one for each chunk
  };

  CuDevice device = 0;
  Export exported_by = Export::kNone;
  // If by none: "memory of a pool (...) ...", with what would help.
  std::string why_not;
  std::vector<MemoryChunk> chunks;  // at least one; together they hold the range

  CuDevicePointer start() const noexcept { return chunks.front().start; }
  std::uint64_t size() const noexcept {
    return chunks.back().start + chunks.back().size - start();
  }
};

// Nothing if the memory at the address is none of a GPU. Throws Error(kInvalidArgument)
// if that at its beginning is and the rest is not, or of another GPU; otherwise as
// Driver::check().
std::optional<DeviceAllocation> find_allocation(const Driver& driver,
                                                CuDevicePointer address,
                                                std::uint64_t size);

// Whether the memory is still what it was: its owner may have freed it meanwhile, and
// been given other memory under the same address.
bool is_unchanged(const Driver& driver, const MemoryChunk& chunk);
bool is_unchanged(const Driver& driver, const DeviceAllocation& allocation);

// Of memory that is exported so. They throw as Driver::check().
CuIpcHandle export_handle(const Driver& driver, const DeviceAllocation& allocation);
// None (-1) if the memory there is not that of the chunk any more.
base::UniqueFd export_file(const Driver& driver, const MemoryChunk& chunk);

}  // namespace nixl_connect::paths::cuda
