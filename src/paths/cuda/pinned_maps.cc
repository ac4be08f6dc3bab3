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
                         CuContext context, std::span<std::byte> bytes) {
  const CurrentContext current(driver, context);
  const auto refuse = [&](ErrorKind kind, const std::string& cause) {
    throw CopyRefused(CopyFailure::Cause::kNotPinned, kind,
                      "pinning " + std::to_string(bytes.size()) +
                          " bytes of the host's memory for GPU " +
                          std::to_string(device.device) + " (" + device.name +
                          "): " + cause);
  };
  try {
    RegisteredMemory registered = register_memory(driver, bytes.data(), bytes.size());
    CuDevicePointer on_gpu = 0;
    driver.check(driver.functions.mem_host_get_device_pointer(&on_gpu, bytes.data(), 0),
                 "finding pinned memory on the GPU");
    if (on_gpu != reinterpret_cast<std::uintptr_t>(bytes.data()))
      refuse(ErrorKind::kUnsupported, "the GPU has it under another address");
    return registered;
  } catch (const DriverError& error) {
    if (is_sticky(error.result())) throw;
    refuse(error.kind(), driver.describe(error.result()));
    throw;
  }
}

}  // namespace

PinnedPart::PinnedPart(const Driver& driver, const DeviceFacts& device, HostMap map,
                       std::span<std::byte> bytes)
    : driver_(driver),
      map_(std::move(map)),
      bytes_(bytes),
      context_(driver, device.device),
      registered_(pin_all(driver, device, context_.get(), bytes)) {}

PinnedPart::~PinnedPart() {
  const Functions& functions = driver_.functions;
  CuContext context = context_.get();
  const bool is_current = functions.context_push(context) == kCuSuccess;
  registered_ = {};
  if (is_current) functions.context_pop(&context);
}

// What is pinned stays in memory, so the page is gone from its file only if somebody
// has cut it out.
bool PinnedPart::is_given_back() const noexcept {
  unsigned char is_there = 1;
  return ::mincore(bytes_.data(), 1, &is_there) == 0 && (is_there & 1U) == 0;
}

PinnedMaps::Pin PinnedMaps::pin(const HostMap& map, std::size_t offset,
                                const DeviceFacts& device) {
  const std::span<std::byte> all(map.memory->data(), map.memory->size());
  const auto rest = all.subspan(offset / part_bytes_ * part_bytes_);
  const auto bytes = rest.first(std::min(rest.size(), part_bytes_));
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Pin& each) {
    return each->bytes().data() == bytes.data();
  });
  if (found != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, found);
    return kept_.front();
  }
  std::erase_if(kept_, [](const Pin& each) { return each->is_given_back(); });
  while (!kept_.empty() && kept_.size() >= most_kept_) kept_.pop_back();
  kept_.push_front(std::make_shared<const PinnedPart>(driver_, device, map, bytes));
  return kept_.front();
}

bool PinnedMaps::has(const HostMap& map) const noexcept {
  return std::any_of(kept_.begin(), kept_.end(),
                     [&](const Pin& each) { return each->map().memory == map.memory; });
}

void PinnedMaps::drop(const Instance& owner) {
  std::erase_if(kept_, [&](const Pin& each) { return each->map().owner == owner; });
}

void PinnedMaps::drop(std::uint64_t id) {
  std::erase_if(kept_, [&](const Pin& each) { return each->map().id == id; });
}

}  // namespace nixl_connect::paths::cuda
