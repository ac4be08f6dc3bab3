// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/stand_in/memory.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "paths/cuda/stand_in/contexts.h"
#include "paths/cuda/stand_in/control.h"
#include "paths/cuda/stand_in/functions.h"

namespace nixl_connect::paths::cuda::stand_in {
namespace {

bool is_reached(const Mapping& mapping, CuDevice device, By by) {
  switch (mapping.kind) {
    case Kind::kAllocated:
    case Kind::kFromPool:
      return by == By::kCopyEngine || can_reach(device, mapping.physical->device);
    case Kind::kMapped:
    case Kind::kImported:
      return ((mapping.reachable_by >> device) & 1U) != 0;
  }
  return false;
}

void* pointer(CuDevicePointer address) {
  return reinterpret_cast<void*>(static_cast<std::uintptr_t>(address));
}

// The pages are made, as pinning does, though the memory was never touched.
bool populate(std::uintptr_t start, std::size_t size) {
  constexpr std::uintptr_t kPage = 4096;
  constexpr int kPopulateWrite = 23;  // the kernel's MADV_POPULATE_WRITE
  const std::uintptr_t first = start / kPage * kPage;
  if (::madvise(pointer(first), start + size - first, kPopulateWrite) == 0) return true;
  if (errno != EINVAL) return false;
  for (std::uintptr_t page = first; page < start + size; page += kPage)
    std::atomic_ref(*static_cast<unsigned char*>(pointer(page))).fetch_or(0);
  return true;
}

CuResult allocate(CuDevicePointer* address, std::size_t size, CuDevice device,
                  Kind kind) {
  if (size == 0) return kCuInvalidValue;
  auto physical = make_physical("memory", device, size);
  const std::lock_guard lock(memory().mutex);
  if (auto again = memory().freed.extract(size); !again.empty())
    *address = again.mapped();
  else
    *address = reserve(size, 1);
  if (physical == nullptr || *address == 0) return kCuOutOfMemory;
  memory().mappings.emplace(*address, Mapping{.kind = kind,
                                              .physical = std::move(physical),
                                              .size = size,
                                              .buffer_id = ++memory().last_id});
  return kCuSuccess;
}

}  // namespace

Memory& memory() {
  static auto& memory = *new Memory;
  return memory;
}

Physical::~Physical() {
  if (data != nullptr) ::munmap(data, size);
}

std::shared_ptr<Physical> open_physical(base::UniqueFd fd, CuDevice device) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || status.st_size <= 0) return nullptr;
  auto physical = std::make_shared<Physical>();
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const data =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) return nullptr;
  physical->fd = std::move(fd);
  physical->data = static_cast<std::byte*>(data);
  physical->size = size;
  physical->device = device;
  return physical;
}

std::shared_ptr<Physical> make_physical(const std::string& name, CuDevice device,
                                        std::size_t size) {
  base::UniqueFd fd(::memfd_create(("stand-in-" + name).c_str(), MFD_CLOEXEC));
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return nullptr;
  return open_physical(std::move(fd), device);
}

CuDevicePointer reserve(std::size_t size, std::size_t alignment) {
  void* const start = ::mmap(nullptr, size + alignment, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return 0;
  const auto address = reinterpret_cast<std::uintptr_t>(start);
  // Of a larger alignment, the rest stays reserved for ever.
  const std::uintptr_t aligned = (address + alignment - 1) / alignment * alignment;
  memory().reservations.insert_or_assign(aligned, size);
  return aligned;
}

std::map<CuDevicePointer, Mapping>::iterator find_mapping(CuDevicePointer address) {
  auto& mappings = memory().mappings;
  auto found = mappings.upper_bound(address);
  if (found == mappings.begin()) return mappings.end();
  --found;
  return address - found->first < found->second.size ? found : mappings.end();
}

AddressKind kind_of(CuDevicePointer address, std::size_t size) {
  const auto& reservations = memory().reservations;
  const auto above = reservations.upper_bound(address);
  const bool is_reserved = above != reservations.begin() &&
                           address - std::prev(above)->first < std::prev(above)->second;
  if (is_reserved || find_mapping(address) != memory().mappings.end())
    return AddressKind::kDevice;
  const auto& registered = memory().registered;
  const auto next = registered.lower_bound(address + std::max<std::size_t>(size, 1));
  if (next == registered.begin()) return AddressKind::kPageable;
  const auto& [start, length] = *std::prev(next);
  if (start + length <= address) return AddressKind::kPageable;
  return start <= address && address + size <= start + length
             ? AddressKind::kPinned
             : AddressKind::kStraddling;
}

std::vector<Piece> resolve(CuDevicePointer address, std::size_t size, CuDevice device,
                           By by) {
  const std::lock_guard lock(memory().mutex);
  // What is no memory of a device has to be memory of the host, which the copy engine
  // takes as it is and a kernel only where it is pinned.
  const AddressKind kind = kind_of(address, size);
  if (kind != AddressKind::kDevice) {
    if (by == By::kKernel && kind != AddressKind::kPinned) return {};
    return {{nullptr, static_cast<std::byte*>(pointer(address)), size}};
  }
  std::vector<Piece> pieces;
  while (size > 0) {
    const auto found = find_mapping(address);
    if (found == memory().mappings.end() || !is_reached(found->second, device, by))
      return {};
    const std::size_t offset = address - found->first;
    const std::size_t part = std::min(size, found->second.size - offset);
    const auto& physical = found->second.physical;
    pieces.push_back({physical, physical->data + offset, part});
    address += part;
    size -= part;
  }
  return pieces;
}

CuDevicePointer allocate_from_pool(CuDevice device, std::size_t size) {
  CuDevicePointer address = 0;
  allocate(&address, size, device, Kind::kFromPool);
  return address;
}

std::size_t mappings() {
  const std::lock_guard lock(memory().mutex);
  return memory().mappings.size();
}

std::size_t registrations() {
  const std::lock_guard lock(memory().mutex);
  return memory().registered.size();
}

CuResult mem_alloc(CuDevicePointer* address, std::size_t size) {
  const CuContext context = current_context();
  if (context == nullptr) return kCuInvalidContext;
  return allocate(address, size, context->device, Kind::kAllocated);
}

CuResult mem_free(CuDevicePointer address) {
  const std::lock_guard lock(memory().mutex);
  const auto found = memory().mappings.find(address);
  if (found == memory().mappings.end()) return kCuInvalidValue;
  const Mapping& mapping = found->second;
  if (mapping.kind != Kind::kAllocated && mapping.kind != Kind::kFromPool)
    return kCuInvalidValue;
  memory().freed.emplace(mapping.size, address);
  memory().mappings.erase(found);
  return kCuSuccess;
}

CuResult mem_host_register(void* address, std::size_t size, unsigned /*flags*/) {
  if (current_context() == nullptr) return kCuInvalidContext;
  if (address == nullptr || size == 0) return kCuInvalidValue;
  const auto start = reinterpret_cast<std::uintptr_t>(address);
  const std::lock_guard lock(memory().mutex);
  auto& registered = memory().registered;
  const auto next = registered.lower_bound(start);
  const bool overlaps = (next != registered.end() && next->first < start + size) ||
                        (next != registered.begin() &&
                         std::prev(next)->first + std::prev(next)->second > start);
  if (overlaps) return kCuHostMemoryAlreadyRegistered;
  if (!populate(start, size)) return kCuInvalidValue;
  registered.emplace(start, size);
  return kCuSuccess;
}

CuResult mem_host_unregister(void* address) {
  if (current_context() == nullptr) return kCuInvalidContext;
  const std::lock_guard lock(memory().mutex);
  return memory().registered.erase(reinterpret_cast<std::uintptr_t>(address)) == 1
             ? kCuSuccess
             : kCuHostMemoryNotRegistered;
}

CuResult mem_host_get_device_pointer(CuDevicePointer* address, void* host,
                                     unsigned /*flags*/) {
  const auto start = reinterpret_cast<std::uintptr_t>(host);
  const std::lock_guard lock(memory().mutex);
  const auto next = memory().registered.upper_bound(start);
  if (next == memory().registered.begin() ||
      start - std::prev(next)->first >= std::prev(next)->second)
    return kCuInvalidValue;
  *address = start;
  return kCuSuccess;
}

}  // namespace nixl_connect::paths::cuda::stand_in
