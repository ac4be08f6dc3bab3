// SPDX-License-Identifier: Apache-2.0
//
// What the stand-in tells of an address, as the driver 580 was seen to.
#include <cstring>

#include "paths/cuda/stand_in/contexts.h"
#include "paths/cuda/stand_in/functions.h"
#include "paths/cuda/stand_in/memory.h"

namespace nixl_connect::paths::cuda::stand_in {
namespace {

template <typename Value>
void put(void* to, Value value) {
  std::memcpy(to, &value, sizeof value);
}

bool is_pinned(CuDevicePointer address) {
  const auto next = memory().registered.upper_bound(address);
  return next != memory().registered.begin() &&
         address - std::prev(next)->first < std::prev(next)->second;
}

// Of an address that no device has.
CuResult put_of_host(CuPointerAttribute attribute, void* to, bool is_known) {
  switch (attribute) {
    case kCuPointerMemoryType:
      put<unsigned>(to, is_known ? kCuMemoryHost : 0U);
      return kCuSuccess;
    case kCuPointerDeviceOrdinal:
      put<int>(to, is_known ? 0 : -2);
      return kCuSuccess;
    case kCuPointerIsManaged:
    case kCuPointerIsIpcCapable:
    case kCuPointerIsMapped:
      put<int>(to, 0);
      return kCuSuccess;
    default:
      put<std::uint64_t>(to, 0);
      return kCuSuccess;
  }
}

CuResult put_of_device(CuPointerAttribute attribute, void* to, CuDevicePointer start,
                       const Mapping& mapping) {
  const bool has_no_context = mapping.kind == Kind::kMapped;
  switch (attribute) {
    case kCuPointerContext:
      put(to, has_no_context ? std::uintptr_t{0}
                             : reinterpret_cast<std::uintptr_t>(
                                   context_of(mapping.physical->device)));
      return kCuSuccess;
    case kCuPointerMemoryType:
      put<unsigned>(to, kCuMemoryDevice);
      return kCuSuccess;
    case kCuPointerBufferId:
      put<std::uint64_t>(to, mapping.buffer_id);
      return kCuSuccess;
    case kCuPointerIsManaged:
      put<int>(to, 0);
      return kCuSuccess;
    case kCuPointerDeviceOrdinal:
      put<int>(to, mapping.physical->device);
      return kCuSuccess;
    case kCuPointerIsIpcCapable:
      put<int>(to, mapping.kind == Kind::kAllocated ? 1 : 0);
      return kCuSuccess;
    case kCuPointerRangeStart:
      put<CuDevicePointer>(to, start);
      return kCuSuccess;
    case kCuPointerRangeSize:
      put<std::size_t>(to, mapping.size);
      return kCuSuccess;
    case kCuPointerIsMapped:
      put<int>(to, 1);
      return kCuSuccess;
    case kCuPointerHandleTypes:
      put<std::uint64_t>(to, mapping.kind == Kind::kMapped
                                 ? static_cast<unsigned>(mapping.physical->handle_types)
                                 : 0U);
      return kCuSuccess;
    case kCuPointerMemoryPool:
      put<std::uint64_t>(to, mapping.kind == Kind::kFromPool ? 1 : 0);
      return kCuSuccess;
  }
  return kCuInvalidValue;
}

}  // namespace

CuResult pointer_get_attributes(unsigned count, CuPointerAttribute* attributes,
                                void** values, CuDevicePointer address) {
  const std::lock_guard lock(memory().mutex);
  const auto found = find_mapping(address);
  for (unsigned i = 0; i < count; ++i) {
    const CuResult result =
        found == memory().mappings.end()
            ? put_of_host(attributes[i], values[i], is_pinned(address))
            : put_of_device(attributes[i], values[i], found->first, found->second);
    if (result != kCuSuccess) return result;
  }
  return kCuSuccess;
}

CuResult mem_get_address_range(CuDevicePointer* start, std::size_t* size,
                               CuDevicePointer address) {
  const std::lock_guard lock(memory().mutex);
  const auto found = find_mapping(address);
  if (found == memory().mappings.end()) return kCuNotFound;
  if (current_context() == nullptr) return kCuInvalidContext;
  // What was imported is the importing context's.
  if (found->second.kind != Kind::kImported &&
      current_context()->device != found->second.physical->device)
    return kCuNotFound;
  if (start != nullptr) *start = found->first;
  if (size != nullptr) *size = found->second.size;
  return kCuSuccess;
}

}  // namespace nixl_connect::paths::cuda::stand_in
