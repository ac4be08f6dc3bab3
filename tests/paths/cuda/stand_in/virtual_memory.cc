// SPDX-License-Identifier: Apache-2.0
//
// The stand-in's memory whose addresses and pages are had apart. An exported file says
// by its name which device the memory is of.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "paths/cuda/stand_in/contexts.h"
#include "paths/cuda/stand_in/functions.h"
#include "paths/cuda/stand_in/memory.h"

namespace nixl_connect::paths::cuda::stand_in {
namespace {

constexpr std::size_t kGranularity = 2 << 20;
constexpr std::string_view kFile = "/memfd:stand-in-vmm-";

bool is_aligned(CuDevicePointer number) { return number % kGranularity == 0; }

// With the mutex held.
CuAllocation add(std::shared_ptr<Physical> physical) {
  const CuAllocation allocation = ++memory().last_id;
  memory().allocations.emplace(allocation, Memory::Counted{std::move(physical), 1});
  return allocation;
}

CuDevice device_of_file(int fd) {
  std::array<char, 128> text{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), text.data(), text.size());
  const std::string_view name(text.data(), length < 0 ? 0 : std::size_t(length));
  return name.starts_with(kFile) ? name[kFile.size()] - '0' : -1;
}

bool is_reserved(CuDevicePointer address, std::size_t size) {
  auto found = memory().reservations.upper_bound(address);
  if (found == memory().reservations.begin()) return false;
  --found;
  return address + size <= found->first + found->second;
}

}  // namespace

CuResult mem_create(CuAllocation* allocation, std::size_t size,
                    const CuAllocationProperties* properties,
                    unsigned long long /*flags*/) {
  const CuDevice device = properties->location.id;
  if (!is_device(device) || !is_aligned(size)) return kCuInvalidValue;
  auto physical = make_physical("vmm-" + std::to_string(device), device, size);
  if (physical == nullptr) return kCuOutOfMemory;
  physical->handle_types = properties->handle_types;
  const std::lock_guard lock(memory().mutex);
  *allocation = add(std::move(physical));
  return kCuSuccess;
}

CuResult mem_release(CuAllocation allocation) {
  const std::lock_guard lock(memory().mutex);
  const auto found = memory().allocations.find(allocation);
  if (found == memory().allocations.end() || found->second.holders == 0)
    return kCuInvalidValue;
  if (--found->second.holders == 0 && found->second.physical.use_count() == 1)
    memory().allocations.erase(found);
  return kCuSuccess;
}

CuResult mem_export(void* handle, CuAllocation allocation, CuHandleType type,
                    unsigned long long /*flags*/) {
  const std::lock_guard lock(memory().mutex);
  const auto found = memory().allocations.find(allocation);
  if (found == memory().allocations.end()) return kCuInvalidValue;
  const Physical& physical = *found->second.physical;
  if (type != kCuHandlePosixFd || (physical.handle_types & type) == 0)
    return kCuInvalidValue;
  const int fd = ::fcntl(physical.fd.get(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return kCuOutOfMemory;
  *static_cast<int*>(handle) = fd;
  return kCuSuccess;
}

CuResult mem_import(CuAllocation* allocation, void* handle, CuHandleType type) {
  const int fd = static_cast<int>(reinterpret_cast<std::intptr_t>(handle));
  const CuDevice device = device_of_file(fd);
  if (type != kCuHandlePosixFd || !is_device(device)) return kCuInvalidValue;
  auto physical =
      open_physical(base::UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)), device);
  if (physical == nullptr) return kCuOutOfMemory;
  physical->handle_types = kCuHandlePosixFd;
  const std::lock_guard lock(memory().mutex);
  *allocation = add(std::move(physical));
  return kCuSuccess;
}

CuResult mem_retain_allocation(CuAllocation* allocation, void* address) {
  const std::lock_guard lock(memory().mutex);
  const auto found = find_mapping(reinterpret_cast<std::uintptr_t>(address));
  if (found == memory().mappings.end() || found->second.kind != Kind::kMapped)
    return kCuInvalidValue;
  *allocation = found->second.allocation;
  auto& counted = memory().allocations[*allocation];
  counted.physical = found->second.physical;
  ++counted.holders;
  return kCuSuccess;
}

CuResult mem_address_reserve(CuDevicePointer* address, std::size_t size,
                             std::size_t alignment, CuDevicePointer /*wished*/,
                             unsigned long long /*flags*/) {
  if (size == 0 || !is_aligned(size)) return kCuInvalidValue;
  const std::lock_guard lock(memory().mutex);
  *address = reserve(size, std::max(alignment, kGranularity));
  return *address == 0 ? kCuOutOfMemory : kCuSuccess;
}

CuResult mem_address_free(CuDevicePointer address, std::size_t size) {
  const std::lock_guard lock(memory().mutex);
  const auto found = memory().reservations.find(address);
  const auto first = memory().mappings.lower_bound(address);
  const bool is_mapped =
      first != memory().mappings.end() && first->first < address + size;
  if (found == memory().reservations.end() || found->second != size || is_mapped)
    return kCuInvalidValue;
  ::munmap(reinterpret_cast<void*>(static_cast<std::uintptr_t>(address)), size);
  memory().reservations.erase(found);
  return kCuSuccess;
}

CuResult mem_map(CuDevicePointer address, std::size_t size, std::size_t offset,
                 CuAllocation allocation, unsigned long long /*flags*/) {
  const std::lock_guard lock(memory().mutex);
  const auto found = memory().allocations.find(allocation);
  if (found == memory().allocations.end() || !is_aligned(address) ||
      !is_aligned(size) || !is_reserved(address, size))
    return kCuInvalidValue;
  // As the driver, which maps whole allocations only.
  if (offset != 0 || size != found->second.physical->size) return kCuInvalidValue;
  const auto next = memory().mappings.lower_bound(address);
  if (next != memory().mappings.end() && next->first < address + size)
    return kCuInvalidValue;
  memory().mappings.emplace(address, Mapping{.kind = Kind::kMapped,
                                             .physical = found->second.physical,
                                             .size = size,
                                             .buffer_id = ++memory().last_id,
                                             .allocation = allocation});
  return kCuSuccess;
}

CuResult mem_unmap(CuDevicePointer address, std::size_t size) {
  const std::lock_guard lock(memory().mutex);
  const CuDevicePointer end = address + size;
  std::size_t unmapped = 0;
  auto mapping = memory().mappings.lower_bound(address);
  while (mapping != memory().mappings.end() && mapping->first < end &&
         mapping->second.kind == Kind::kMapped) {
    const auto allocation = memory().allocations.find(mapping->second.allocation);
    unmapped += mapping->second.size;
    mapping = memory().mappings.erase(mapping);
    if (allocation != memory().allocations.end() && allocation->second.holders == 0 &&
        allocation->second.physical.use_count() == 1)
      memory().allocations.erase(allocation);
  }
  return unmapped == size ? kCuSuccess : kCuInvalidValue;
}

CuResult mem_set_access(CuDevicePointer address, std::size_t size,
                        const CuAccess* access, std::size_t count) {
  const std::lock_guard lock(memory().mutex);
  for (std::size_t done = 0; done < size;) {
    const auto found = memory().mappings.find(address + done);
    if (found == memory().mappings.end() || found->second.kind != Kind::kMapped)
      return kCuInvalidValue;
    for (std::size_t i = 0; i < count; ++i)
      found->second.reachable_by |= 1U << access[i].location.id;
    done += found->second.size;
  }
  return kCuSuccess;
}

}  // namespace nixl_connect::paths::cuda::stand_in
