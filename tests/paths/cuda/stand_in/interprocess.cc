// SPDX-License-Identifier: Apache-2.0
//
// The stand-in's memory across processes: a handle says where the memfd of an
// allocation can be found, through the exporter's entry in /proc.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "paths/cuda/stand_in/contexts.h"
#include "paths/cuda/stand_in/events.h"
#include "paths/cuda/stand_in/functions.h"
#include "paths/cuda/stand_in/memory.h"

namespace nixl_connect::paths::cuda::stand_in {
namespace {

struct Place {
  pid_t pid = 0;
  int fd = -1;
  CuDevice device = 0;
  int unused = 0;  // no byte is without a value: handles are compared
  std::uint64_t buffer_id = 0;
  CuDevicePointer start = 0;
  std::size_t size = 0;
};
static_assert(sizeof(Place) <= sizeof(CuIpcHandle));

Place place_of(const CuIpcHandle& handle) {
  Place place;
  std::memcpy(&place, handle.bytes.data(), sizeof place);
  return place;
}

// Memory that its process had freed before it got the other one.
bool is_in_place_of(const Place& place, const Place& other) {
  return place.pid == other.pid && place.buffer_id != other.buffer_id &&
         place.start < other.start + other.size &&
         other.start < place.start + place.size;
}

base::UniqueFd open_place(const Place& place) {
  const std::string path =
      "/proc/" + std::to_string(place.pid) + "/fd/" + std::to_string(place.fd);
  return base::UniqueFd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
}

}  // namespace

CuResult ipc_get_mem_handle(CuIpcHandle* handle, CuDevicePointer address) {
  const std::lock_guard lock(memory().mutex);
  const auto found = find_mapping(address);
  if (found == memory().mappings.end() || found->second.kind != Kind::kAllocated)
    return kCuInvalidValue;
  const Place place{::getpid(),
                    found->second.physical->fd.get(),
                    found->second.physical->device,
                    0,
                    found->second.buffer_id,
                    found->first,
                    found->second.size};
  *handle = {};
  std::memcpy(handle->bytes.data(), &place, sizeof place);
  return kCuSuccess;
}

CuResult ipc_open_mem_handle(CuDevicePointer* address, CuIpcHandle handle,
                             unsigned flags) {
  const CuContext context = current_context();
  const Place place = place_of(handle);
  if (context == nullptr || place.pid == ::getpid()) return kCuInvalidContext;
  const std::lock_guard lock(memory().mutex);
  for (auto& [start, mapping] : memory().mappings) {
    // Each context opens it for itself.
    const bool is_here = ((mapping.reachable_by >> context->device) & 1U) != 0;
    if (mapping.kind != Kind::kImported || !is_here) continue;
    if (is_in_place_of(place, place_of(mapping.handle))) return kCuAlreadyMapped;
    if (mapping.handle != handle) continue;
    ++mapping.opened;
    *address = start;
    return kCuSuccess;
  }
  const bool is_peer = place.device != context->device;
  if (is_peer && (flags & kCuIpcLazyPeerAccess) == 0) return kCuInvalidValue;
  int reaches = 1;
  if (is_peer) device_can_access_peer(&reaches, context->device, place.device);
  if (reaches == 0) return kCuPeerAccessUnsupported;
  auto physical = open_physical(open_place(place), place.device);
  if (physical == nullptr) return kCuInvalidValue;
  *address = reserve(physical->size, 1);
  memory().mappings.emplace(*address, Mapping{.kind = Kind::kImported,
                                              .physical = physical,
                                              .size = physical->size,
                                              .buffer_id = ++memory().last_id,
                                              .reachable_by = 1U << context->device,
                                              .handle = handle});
  return kCuSuccess;
}

CuResult ipc_close_mem_handle(CuDevicePointer address) {
  const std::lock_guard lock(memory().mutex);
  const auto found = memory().mappings.find(address);
  if (found == memory().mappings.end() || found->second.kind != Kind::kImported)
    return kCuInvalidValue;
  const CuContext context = current_context();
  if (context == nullptr || ((found->second.reachable_by >> context->device) & 1U) == 0)
    return kCuInvalidContext;
  if (--found->second.opened > 0) return kCuSuccess;
  memory().mappings.erase(found);
  return kCuSuccess;
}

CuResult ipc_get_event_handle(CuIpcHandle* handle, CuEvent event) {
  if ((event->flags & kCuEventInterprocess) == 0) return kCuInvalidHandle;
  const Place place{::getpid(), event->words->fd.get()};
  *handle = {};
  std::memcpy(handle->bytes.data(), &place, sizeof place);
  return kCuSuccess;
}

CuResult ipc_open_event_handle(CuEvent* event, CuIpcHandle handle) {
  if (current_context() == nullptr) return kCuInvalidContext;
  auto words = open_physical(open_place(place_of(handle)), 0);
  if (words == nullptr) return kCuInvalidValue;
  *event = make_event(std::move(words), kCuEventInterprocess);
  return kCuSuccess;
}

}  // namespace nixl_connect::paths::cuda::stand_in
