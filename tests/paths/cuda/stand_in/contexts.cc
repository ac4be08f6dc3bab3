// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/stand_in/contexts.h"

#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "paths/cuda/stand_in/control.h"
#include "paths/cuda/stand_in/functions.h"

namespace nixl_connect::paths::cuda::stand_in {
namespace {

std::array<CuContextObject, kDevices> contexts{{{.device = 0}, {.device = 1}}};
std::atomic<bool> are_peers{true};
std::atomic<bool> have_event_handles{true};
thread_local std::vector<CuContext> stack;

}  // namespace

CuContext current_context() { return stack.empty() ? nullptr : stack.back(); }

CuContext context_of(CuDevice device) {
  return &contexts.at(static_cast<std::size_t>(device));
}

bool is_device(CuDevice device) { return device >= 0 && device < kDevices; }

bool can_reach(CuDevice device, CuDevice peer) {
  return device == peer || ((context_of(device)->peers >> peer) & 1U) != 0;
}

void poison(CuDevice device, CuResult result) { context_of(device)->sticky = result; }

void set_event_handles(bool are_there) { have_event_handles = are_there; }

void set_peers(bool can_reach) { are_peers = can_reach; }

CuResult init(unsigned flags) { return flags == 0 ? kCuSuccess : kCuInvalidValue; }

CuResult driver_get_version(int* version) {
  *version = 12000;
  return kCuSuccess;
}

CuResult get_error_name(CuResult result, const char** name) {
  switch (result) {
    case kCuOutOfMemory:
      *name = "CUDA_ERROR_OUT_OF_MEMORY";
      return kCuSuccess;
    case kCuIllegalAddress:
      *name = "CUDA_ERROR_ILLEGAL_ADDRESS";
      return kCuSuccess;
    default:
      *name = nullptr;
      return kCuInvalidValue;
  }
}

CuResult get_error_string(CuResult result, const char** text) {
  switch (result) {
    case kCuOutOfMemory:
      *text = "out of memory";
      return kCuSuccess;
    case kCuIllegalAddress:
      *text = "an illegal memory access was encountered";
      return kCuSuccess;
    default:
      *text = nullptr;
      return kCuInvalidValue;
  }
}

CuResult device_get_count(int* count) {
  *count = kDevices;
  return kCuSuccess;
}

CuResult device_get(CuDevice* device, int ordinal) {
  if (!is_device(ordinal)) return kCuInvalidDevice;
  *device = ordinal;
  return kCuSuccess;
}

CuResult device_get_name(char* name, int size, CuDevice device) {
  if (!is_device(device)) return kCuInvalidDevice;
  std::snprintf(name, static_cast<std::size_t>(size), "Stand-in %d", device);
  return kCuSuccess;
}

CuResult device_get_uuid(CuUuid* uuid, CuDevice device) {
  if (!is_device(device)) return kCuInvalidDevice;
  uuid->bytes.fill(static_cast<std::byte>(0xa0 + device));
  return kCuSuccess;
}

CuResult device_get_pci_bus_id(char* id, int size, CuDevice device) {
  if (!is_device(device)) return kCuInvalidDevice;
  std::snprintf(id, static_cast<std::size_t>(size), "0000:0%d:00.0", device + 1);
  return kCuSuccess;
}

CuResult device_get_attribute(int* value, CuDeviceAttribute attribute,
                              CuDevice device) {
  if (!is_device(device)) return kCuInvalidDevice;
  switch (attribute) {
    case kCuMultiprocessorCount:
      *value = 132;
      return kCuSuccess;
    case kCuComputeCapabilityMajor:
      *value = 9;
      return kCuSuccess;
    case kCuComputeCapabilityMinor:
      *value = 0;
      return kCuSuccess;
    case kCuMaxSharedMemoryPerBlock:
      *value = 227 << 10;
      return kCuSuccess;
    case kCuPosixFdSupported:
      *value = 1;
      return kCuSuccess;
    case kCuIpcEventSupported:
      *value = have_event_handles ? 1 : 0;
      return kCuSuccess;
  }
  return kCuInvalidValue;
}

CuResult device_can_access_peer(int* can, CuDevice device, CuDevice peer) {
  if (!is_device(device) || !is_device(peer)) return kCuInvalidDevice;
  *can = device != peer && are_peers ? 1 : 0;
  return kCuSuccess;
}

CuResult primary_context_retain(CuContext* context, CuDevice device) {
  if (!is_device(device)) return kCuInvalidDevice;
  *context = context_of(device);
  ++(*context)->retained;
  return kCuSuccess;
}

CuResult primary_context_release(CuDevice device) {
  if (!is_device(device)) return kCuInvalidDevice;
  return --context_of(device)->retained >= 0 ? kCuSuccess : kCuInvalidContext;
}

CuResult context_push(CuContext context) {
  if (context == nullptr || context->retained <= 0) return kCuInvalidContext;
  stack.push_back(context);
  return kCuSuccess;
}

CuResult context_pop(CuContext* context) {
  if (stack.empty()) return kCuInvalidContext;
  *context = stack.back();
  stack.pop_back();
  return kCuSuccess;
}

CuResult context_get_current(CuContext* context) {
  *context = current_context();
  return kCuSuccess;
}

CuResult context_enable_peer_access(CuContext peer, unsigned flags) {
  const CuContext context = current_context();
  if (context == nullptr || peer == nullptr || peer == context)
    return kCuInvalidContext;
  if (flags != 0) return kCuInvalidValue;
  if (!are_peers) return kCuPeerAccessUnsupported;
  const unsigned bit = 1U << peer->device;
  return (context->peers.fetch_or(bit) & bit) == 0 ? kCuSuccess
                                                   : kCuPeerAccessAlreadyEnabled;
}

}  // namespace nixl_connect::paths::cuda::stand_in
