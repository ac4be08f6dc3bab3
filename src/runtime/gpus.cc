// SPDX-License-Identifier: Apache-2.0
#include "runtime/gpus.h"

#include <algorithm>
#include <utility>

#include "nixl_connect/error.h"
#include "paths/cuda/page_kernel_image.h"

namespace nixl_connect::runtime {

using paths::cuda::DeviceAllocation;
using paths::cuda::DeviceFacts;

namespace {

bool covers(const DeviceAllocation& allocation, const Descriptor& descriptor) {
  const std::uint64_t offset = descriptor.ptr() - allocation.start();
  return descriptor.ptr() >= allocation.start() && offset <= allocation.size() &&
         descriptor.size() <= allocation.size() - offset;
}

[[noreturn]] void refuse(const Descriptor& descriptor, const std::string& why) {
  throw Error(ErrorKind::kInvalidArgument,
              "a descriptor of " + std::to_string(descriptor.size()) + " bytes of " +
                  to_string(descriptor.device()) + " names memory that is " + why);
}

}  // namespace

const Gpus::Opened& Gpus::opened() {
  std::call_once(once_, [this] {
    const auto found = paths::cuda::open_driver(driver_file_);
    opened_ = {found.driver, found.why_not, {}};
    if (opened_.driver != nullptr)
      opened_.devices = paths::cuda::find_devices(*opened_.driver);
  });
  return opened_;
}

std::shared_ptr<const std::string> Gpus::why_no_driver() {
  return std::make_shared<const std::string>(opened().why_not);
}

const DeviceFacts* Gpus::facts_of(int number) {
  const auto& devices = opened().devices;
  const auto found =
      std::find_if(devices.begin(), devices.end(),
                   [&](const DeviceFacts& each) { return each.device == number; });
  return found == devices.end() ? nullptr : &*found;
}

bool Gpus::has_kernel(int number) {
  const DeviceFacts* const gpu = facts_of(number);
  return gpu != nullptr && paths::cuda::runs_page_kernel(gpu->compute_capability);
}

std::shared_ptr<const DeviceAllocation> Gpus::allocation_of(
    const Descriptor& descriptor,
    const std::shared_ptr<const DeviceAllocation>& likely) {
  const Opened& gpus = opened();
  if (gpus.driver == nullptr)
    throw Error(ErrorKind::kUnsupported, "memory of " + to_string(descriptor.device()) +
                                             " cannot be moved: " + gpus.why_not);
  const int number = descriptor.device().id();
  if (likely && likely->device == number && covers(*likely, descriptor)) return likely;
  if (auto known = known_.find(descriptor); known && is_still(*known)) return known;
  auto found =
      paths::cuda::find_allocation(*gpus.driver, descriptor.ptr(), descriptor.size());
  if (!found) refuse(descriptor, "none of a GPU");
  if (found->device != number) {
    const std::string device = to_string(Device(DeviceKind::kCuda, found->device));
    refuse(descriptor,
           "on " + device + "; describe it as of device \"" + device + "\"");
  }
  auto made = std::make_shared<const DeviceAllocation>(*std::move(found));
  known_.keep(descriptor, made);
  return made;
}

// Though its owner has lived since it was found.
bool Gpus::is_still(const DeviceAllocation& allocation) {
  return allocation.exported_by == DeviceAllocation::Export::kIpcHandle ||
         paths::cuda::is_unchanged(*opened().driver, allocation);
}

std::vector<std::uint64_t> Gpus::check(std::span<const Descriptor> descriptors) {
  std::vector<std::uint64_t> walls;
  std::shared_ptr<const DeviceAllocation> last;
  for (const Descriptor& each : descriptors) {
    if (each.size() == 0) continue;
    if (last && last->device == each.device().id() && covers(*last, each)) continue;
    last = allocation_of(each, nullptr);
    walls.push_back(last->start());
  }
  return walls;
}

wire::CudaIpcHandle Gpus::handle_of(const DeviceAllocation& allocation) {
  const paths::cuda::Driver& driver = *opened().driver;
  const paths::cuda::CurrentContext current(driver, context_of(allocation.device));
  return paths::cuda::export_handle(driver, allocation).bytes;
}

bool Gpus::is(int number, const wire::GpuUuid& other) {
  return number_of(other) == number;
}

std::optional<int> Gpus::number_of(const wire::GpuUuid& gpu) {
  const auto& devices = opened().devices;
  const auto found =
      std::find_if(devices.begin(), devices.end(),
                   [&](const DeviceFacts& each) { return each.uuid.bytes == gpu; });
  if (found == devices.end()) return std::nullopt;
  return found->device;
}

paths::cuda::CuContext Gpus::context_of(std::optional<int> number) {
  const std::lock_guard lock(mutex_);
  if (!number && !contexts_.empty()) return contexts_.begin()->second.get();
  const paths::cuda::CuDevice device = number.value_or(0);
  auto found = contexts_.find(device);
  if (found == contexts_.end())
    found =
        contexts_.emplace(device, paths::cuda::PrimaryContext(*opened_.driver, device))
            .first;
  return found->second.get();
}

bool Gpus::can_reach(int number, const wire::GpuUuid& other) {
  const std::optional<int> found = number_of(other);
  if (!found) return true;
  const std::lock_guard lock(mutex_);
  const auto [known, is_new] = reach_.try_emplace({number, *found});
  if (is_new) known->second = paths::cuda::can_reach(*opened().driver, number, *found);
  return known->second;
}

}  // namespace nixl_connect::runtime
