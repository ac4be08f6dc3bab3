// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/devices.h"

#include <algorithm>
#include <array>

namespace nixl_connect::paths::cuda {
namespace {

int attribute(const Driver& driver, CuDevice device, CuDeviceAttribute attribute) {
  int value = 0;
  driver.check(driver.functions.device_get_attribute(&value, attribute, device),
               "asking for an attribute of GPU " + std::to_string(device));
  return value;
}

DeviceFacts ask_for(const Driver& driver, int ordinal) {
  const std::string attempt = "asking about GPU " + std::to_string(ordinal);
  DeviceFacts facts;
  std::array<char, 256> text{};
  const int size = static_cast<int>(text.size());
  driver.check(driver.functions.device_get(&facts.device, ordinal), attempt);
  driver.check(driver.functions.device_get_uuid(&facts.uuid, facts.device), attempt);
  driver.check(driver.functions.device_get_name(text.data(), size, facts.device),
               attempt);
  facts.name = text.data();
  driver.check(driver.functions.device_get_pci_bus_id(text.data(), size, facts.device),
               attempt);
  facts.pci_id = text.data();
  facts.compute_capability =
      10 * attribute(driver, facts.device, kCuComputeCapabilityMajor) +
      attribute(driver, facts.device, kCuComputeCapabilityMinor);
  facts.multiprocessors = attribute(driver, facts.device, kCuMultiprocessorCount);
  facts.exports_by_fd = attribute(driver, facts.device, kCuPosixFdSupported) != 0;
  facts.has_event_handles = attribute(driver, facts.device, kCuIpcEventSupported) != 0;
  return facts;
}

}  // namespace

std::vector<DeviceFacts> find_devices(const Driver& driver) {
  int count = 0;
  driver.check(driver.functions.device_get_count(&count), "counting GPUs");
  std::vector<DeviceFacts> devices;
  devices.reserve(static_cast<std::size_t>(count));
  for (int ordinal = 0; ordinal < count; ++ordinal)
    devices.push_back(ask_for(driver, ordinal));
  return devices;
}

const DeviceFacts& facts_of(std::span<const DeviceFacts> devices, CuDevice device) {
  const auto found =
      std::find_if(devices.begin(), devices.end(),
                   [&](const DeviceFacts& each) { return each.device == device; });
  if (found == devices.end())
    throw Error(ErrorKind::kInvalidArgument,
                "there is no GPU " + std::to_string(device));
  return *found;
}

std::string text_of(const DeviceFacts& facts) {
  return "GPU " + std::to_string(facts.device) + " (" + facts.name + ")";
}

bool can_reach(const Driver& driver, CuDevice device, CuDevice peer) {
  if (device == peer) return true;
  int can = 0;
  driver.check(driver.functions.device_can_access_peer(&can, device, peer),
               "asking whether GPU " + std::to_string(device) + " reaches GPU " +
                   std::to_string(peer));
  return can != 0;
}

}  // namespace nixl_connect::paths::cuda
