// SPDX-License-Identifier: Apache-2.0
//
// What this process sees of GPUs, as it is told to users.
#include <dlfcn.h>

#include <cstddef>
#include <string>

#include "nixl_connect/device.h"
#include "paths/cuda/devices.h"
#include "paths/cuda/driver.h"
#include "paths/cuda/page_kernel_image.h"

namespace nixl_connect {
namespace {

using paths::cuda::DeviceFacts;
using paths::cuda::Driver;

// Where a driver that was named without its folder was found.
std::string file_of(const Driver& driver) {
  Dl_info info{};
  const auto* const function = reinterpret_cast<const void*>(driver.functions.init);
  if (::dladdr(function, &info) == 0 || info.dli_fname == nullptr) return driver.file;
  return info.dli_fname;
}

// As nvidia-smi has it.
std::string text_of(const paths::cuda::CuUuid& uuid) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "GPU-";
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto byte = std::to_integer<unsigned>(uuid.bytes[i]);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

GpuFacts facts_of(const Driver& driver, const DeviceFacts& facts,
                  const std::vector<DeviceFacts>& all) {
  GpuFacts gpu{facts.device,
               facts.name,
               text_of(facts.uuid),
               facts.pci_id,
               facts.compute_capability,
               facts.multiprocessors,
               {},
               facts.exports_by_fd,
               facts.has_event_handles,
               paths::cuda::runs_page_kernel(facts.compute_capability)};
  for (const DeviceFacts& other : all)
    if (other.device != facts.device &&
        paths::cuda::can_reach(driver, facts.device, other.device))
      gpu.reaches.push_back(other.device);
  return gpu;
}

}  // namespace

GpuReport report_gpus(const std::string& cuda_driver) {
  GpuReport report;
  const auto capabilities = paths::cuda::page_kernel_capabilities();
  report.kernel_for.assign(capabilities.begin(), capabilities.end());
  report.why_no_kernel = paths::cuda::why_no_page_kernel();
  const paths::cuda::OpenedDriver opened = paths::cuda::open_driver(cuda_driver);
  report.why_no_driver = opened.why_not;
  if (opened.driver == nullptr) return report;
  report.driver_file = file_of(*opened.driver);
  report.driver_version = opened.driver->version;
  const auto devices = paths::cuda::find_devices(*opened.driver);
  for (const DeviceFacts& each : devices)
    report.gpus.push_back(facts_of(*opened.driver, each, devices));
  return report;
}

}  // namespace nixl_connect
