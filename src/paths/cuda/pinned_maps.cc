// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/pinned_maps.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "paths/cuda/device_copy.h"

namespace nixl_connect::paths::cuda {
namespace {

RegisteredMemory pin_all(const Driver& driver, const DeviceFacts& device,
                         CuContext context, const base::SharedMemory& memory) {
  const CurrentContext current(driver, context);
  const auto refuse = [&](ErrorKind kind, const std::string& cause) {
    throw CopyRefused(CopyFailure::Cause::kNotPinned, kind,
                      "pinning " + std::to_string(memory.size()) +
                          " bytes of the host's memory for GPU " +
                          std::to_string(device.device) + " (" + device.name +
                          "): " + cause);
  };
  try {
    RegisteredMemory registered = register_memory(driver, memory.data(), memory.size());
    CuDevicePointer on_gpu = 0;
    driver.check(
        driver.functions.mem_host_get_device_pointer(&on_gpu, memory.data(), 0),
        "finding pinned memory on the GPU");
    if (on_gpu != reinterpret_cast<std::uintptr_t>(memory.data()))
      refuse(ErrorKind::kUnsupported, "the GPU has it under another address");
    return registered;
  } catch (const DriverError& error) {
    if (is_sticky(error.result())) throw;
    refuse(error.kind(), driver.describe(error.result()));
    throw;
  }
}

}  // namespace

PinnedMap::PinnedMap(const Driver& driver, const DeviceFacts& device, HostMap map)
    : driver_(driver),
      map_(std::move(map)),
      context_(driver, device.device),
      registered_(pin_all(driver, device, context_.get(), *map_.memory)) {}

PinnedMap::~PinnedMap() {
  const Functions& functions = driver_.functions;
  CuContext context = context_.get();
  const bool is_current = functions.context_push(context) == kCuSuccess;
  registered_ = {};
  if (is_current) functions.context_pop(&context);
}

CuDevicePointer PinnedMap::start() const noexcept {
  return reinterpret_cast<std::uintptr_t>(map_.memory->data());
}

// What is pinned stays in memory, so the page is gone from its file only if somebody
// has cut it out.
bool PinnedMap::is_given_back() const noexcept {
  unsigned char is_there = 1;
  return ::mincore(map_.memory->data(), 1, &is_there) == 0 && (is_there & 1U) == 0;
}

PinnedMaps::Pin PinnedMaps::pin(const HostMap& map, const DeviceFacts& device) {
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Pin& each) {
    return each->map().memory == map.memory;
  });
  if (found != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, found);
    return kept_.front();
  }
  std::erase_if(kept_, [](const Pin& each) { return each->is_given_back(); });
  while (!kept_.empty() && kept_.size() >= most_kept_) kept_.pop_back();
  kept_.push_front(std::make_shared<const PinnedMap>(driver_, device, map));
  return kept_.front();
}

void PinnedMaps::drop(const Instance& owner) {
  std::erase_if(kept_, [&](const Pin& each) { return each->map().owner == owner; });
}

void PinnedMaps::drop(std::uint64_t id) {
  std::erase_if(kept_, [&](const Pin& each) { return each->map().id == id; });
}

}  // namespace nixl_connect::paths::cuda
