// SPDX-License-Identifier: Apache-2.0
//
// The memory of the stand-in's devices. Each piece is a memfd. This process has it at
// two addresses: one is what the driver calls its address, where the process itself
// can touch nothing, as with a GPU; the other is where the copies are made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "paths/cuda/abi.h"

namespace nixl_connect::paths::cuda::stand_in {

// Bytes of a device.
struct Physical {
  base::UniqueFd fd;
  std::byte* data = nullptr;
  std::size_t size = 0;
  CuDevice device = 0;
  int handle_types = kCuHandleNone;

  Physical() = default;
  Physical(const Physical&) = delete;
  Physical& operator=(const Physical&) = delete;
  ~Physical();
};

// Nothing if the system has none left.
std::shared_ptr<Physical> make_physical(const std::string& name, CuDevice device,
                                        std::size_t size);
// What is behind a file. Nothing if that is no memory.
std::shared_ptr<Physical> open_physical(base::UniqueFd fd, CuDevice device);

enum class Kind { kAllocated, kFromPool, kMapped, kImported };

// An address range that has bytes behind it.
struct Mapping {
  Kind kind = Kind::kAllocated;
  std::shared_ptr<Physical> physical;
  std::size_t size = 0;
  std::uint64_t buffer_id = 0;
  unsigned reachable_by = 0;    // kMapped, kImported: a bit for each device
  CuAllocation allocation = 0;  // kMapped
  CuIpcHandle handle{};         // kImported
  unsigned opened = 1;          // kImported
};

struct Memory {
  std::mutex mutex;
  std::map<CuDevicePointer, Mapping> mappings;  // by their start
  // By their start. Also what was a mapping once: touched, it is an error of the GPU.
  std::map<CuDevicePointer, std::size_t> reservations;
  std::multimap<std::size_t, CuDevicePointer> freed;  // by size; to be used again
  std::map<std::uintptr_t, std::size_t> registered;   // of the host
  struct Counted {
    std::shared_ptr<Physical> physical;
    unsigned holders = 0;
  };
  std::map<CuAllocation, Counted> allocations;
  std::uint64_t last_id = 0;
};

Memory& memory();

// With the mutex held: address space that nothing can touch; 0 if there is none left.
CuDevicePointer reserve(std::size_t size, std::size_t alignment);

// With the mutex held: the mapping that holds the address, or end().
std::map<CuDevicePointer, Mapping>::iterator find_mapping(CuDevicePointer address);

// With the mutex held: what an address is to a call that copies so many bytes there.
enum class AddressKind {
  kDevice,     // or was
  kPinned,     // memory of the host, all in one registration
  kPageable,   // memory of the host, none of it registered
  kStraddling  // some of it
};
AddressKind kind_of(CuDevicePointer address, std::size_t size);

struct Piece {
  std::shared_ptr<Physical> physical;  // none: memory of the host
  std::byte* data = nullptr;
  std::size_t size = 0;
};

enum class By { kCopyEngine, kKernel };

// The bytes of the range, where this process can touch them, in order. Nothing if a
// device cannot reach one of them.
std::vector<Piece> resolve(CuDevicePointer address, std::size_t size, CuDevice device,
                           By by);

}  // namespace nixl_connect::paths::cuda::stand_in
