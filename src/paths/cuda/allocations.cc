// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/allocations.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "nixl_connect/error.h"
#include "paths/cuda/handles.h"

namespace nixl_connect::paths::cuda {
namespace {

using Export = DeviceAllocation::Export;

// In the types that the driver writes.
struct Attributes {
  unsigned memory_type = 0;
  int ordinal = -1;
  std::uint64_t buffer_id = 0;
  int is_managed = 0;
  int is_ipc_capable = 0;
  std::uint64_t handle_types = 0;
  void* pool = nullptr;
};

Attributes attributes_of(const Driver& driver, CuDevicePointer address) {
  Attributes result;
  std::array attributes{
      kCuPointerMemoryType, kCuPointerDeviceOrdinal, kCuPointerBufferId,
      kCuPointerIsManaged,  kCuPointerIsIpcCapable,  kCuPointerHandleTypes,
      kCuPointerMemoryPool,
  };
  std::array<void*, attributes.size()> values{
      &result.memory_type,
      &result.ordinal,
      &result.buffer_id,
      &result.is_managed,
      &result.is_ipc_capable,
      &result.handle_types,
      static_cast<void*>(&result.pool),
  };
  driver.check(driver.functions.pointer_get_attributes(
                   static_cast<unsigned>(attributes.size()), attributes.data(),
                   values.data(), address),
               "asking what memory an address is");
  return result;
}

bool is_of_gpu(const Attributes& attributes) noexcept {
  return attributes.memory_type == kCuMemoryDevice && attributes.ordinal >= 0;
}

MemoryChunk chunk_at(const Driver& driver, CuDevicePointer address,
                     const Attributes& attributes) {
  CuDevicePointer start = 0;
  std::size_t size = 0;
  driver.check(driver.functions.mem_get_address_range(&start, &size, address),
               "asking for the bounds of GPU memory");
  return {start, size, attributes.buffer_id};
}

Export export_of(const Attributes& attributes) noexcept {
  if (attributes.is_managed != 0) return Export::kNone;
  // A pool may be exported as a whole, but not an allocation of it.
  if (attributes.pool != nullptr) return Export::kNone;
  if (attributes.is_ipc_capable != 0) return Export::kIpcHandle;
  return (attributes.handle_types & kCuHandlePosixFd) != 0 ? Export::kFiles
                                                           : Export::kNone;
}

std::string why_not_exported(const Attributes& attributes) {
  if (attributes.is_managed != 0)
    return "managed memory, which cannot be exported; expose a buffer of cudaMalloc";
  if (attributes.pool != nullptr)
    return "memory of a pool (cudaMallocAsync), which cannot be exported; take "
           "PYTORCH_CUDA_ALLOC_CONF=backend:native, or expose a buffer of cudaMalloc";
  if (attributes.handle_types != 0)
    return "mapped memory (cuMemMap) that is exported by other handles than file "
           "descriptors only; expose a buffer of cudaMalloc";
  return "mapped memory (cuMemMap) that was made without handles for export, or was "
         "imported itself; let its allocator ask for "
         "CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, as torch's expandable segments "
         "do, or expose a buffer of cudaMalloc";
}

[[noreturn]] void refuse(CuDevicePointer address, std::uint64_t size,
                         std::uint64_t good, const char* rest) {
  throw Error(ErrorKind::kInvalidArgument,
              "of " + std::to_string(size) + " bytes of GPU memory at " +
                  std::to_string(address) + " only the first " + std::to_string(good) +
                  " are of one GPU; the rest is " + rest);
}

}  // namespace

std::optional<DeviceAllocation> find_allocation(const Driver& driver,
                                                CuDevicePointer address,
                                                std::uint64_t size) {
  Attributes attributes = attributes_of(driver, address);
  if (!is_of_gpu(attributes)) return std::nullopt;
  // Of memory of another GPU than the current context's the driver tells no bounds.
  const PrimaryContext context(driver, attributes.ordinal);
  const CurrentContext current(driver, context.get());
  DeviceAllocation result;
  result.device = attributes.ordinal;
  result.exported_by = export_of(attributes);
  if (result.exported_by == Export::kNone)
    result.why_not = why_not_exported(attributes);
  result.chunks.push_back(chunk_at(driver, address, attributes));
  // The end of the range may lie behind the last address there is.
  while (result.size() - (address - result.start()) < size) {
    const std::uint64_t good = result.size() - (address - result.start());
    const CuDevicePointer next = result.start() + result.size();
    attributes = attributes_of(driver, next);
    if (!is_of_gpu(attributes)) refuse(address, size, good, "no memory of a GPU");
    if (attributes.ordinal != result.device)
      refuse(address, size, good, "of another GPU");
    // Allocations of cudaMalloc that happen to be neighbours are none to each other.
    if (result.exported_by == Export::kIpcHandle || attributes.is_ipc_capable != 0)
      refuse(address, size, good, "another allocation");
    if (export_of(attributes) != Export::kFiles && result.why_not.empty()) {
      result.exported_by = Export::kNone;
      result.why_not = why_not_exported(attributes);
    }
    result.chunks.push_back(chunk_at(driver, next, attributes));
  }
  return result;
}

bool is_unchanged(const Driver& driver, const MemoryChunk& chunk) {
  const Attributes now = attributes_of(driver, chunk.start);
  return is_of_gpu(now) && now.buffer_id == chunk.buffer_id;
}

bool is_unchanged(const Driver& driver, const DeviceAllocation& allocation) {
  return std::all_of(
      allocation.chunks.begin(), allocation.chunks.end(),
      [&](const MemoryChunk& chunk) { return is_unchanged(driver, chunk); });
}

CuIpcHandle export_handle(const Driver& driver, const DeviceAllocation& allocation) {
  CuIpcHandle handle;
  driver.check(driver.functions.ipc_get_mem_handle(&handle, allocation.start()),
               "exporting GPU memory by a CUDA IPC handle");
  return handle;
}

base::UniqueFd export_file(const Driver& driver, const MemoryChunk& chunk) {
  constexpr const char* kAttempt = "exporting GPU memory by a file descriptor";
  if (!is_unchanged(driver, chunk)) return {};
  CuAllocation retained = 0;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  auto* const address = reinterpret_cast<void*>(chunk.start);
  driver.check(driver.functions.mem_retain_allocation(&retained, address), kAttempt);
  const Allocation held(driver, retained);
  // If the address still is that memory's, so was it when the handle was taken.
  if (!is_unchanged(driver, chunk)) return {};
  int fd = -1;
  driver.check(driver.functions.mem_export(&fd, retained, kCuHandlePosixFd, 0),
               kAttempt);
  return base::UniqueFd(fd);
}

}  // namespace nixl_connect::paths::cuda
