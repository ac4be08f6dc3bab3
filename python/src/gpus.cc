// SPDX-License-Identifier: Apache-2.0
//
// What there is of GPUs, for the doctor: plain values by name.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>

#include "bindings.h"
#include "nixl_connect/device.h"
#include "without_gil.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace nixl_connect::python {
namespace {

nb::dict dict_of(const GpuFacts& gpu) {
  nb::dict facts;
  facts["number"] = gpu.number;
  facts["name"] = gpu.name;
  facts["uuid"] = gpu.uuid;
  facts["pci_id"] = gpu.pci_id;
  facts["compute_capability"] = gpu.compute_capability;
  facts["multiprocessors"] = gpu.multiprocessors;
  facts["reaches"] = gpu.reaches;
  facts["exports_files"] = gpu.exports_files;
  facts["has_event_handles"] = gpu.has_event_handles;
  facts["runs_kernel"] = gpu.runs_kernel;
  return facts;
}

nb::dict report(const std::string& cuda_driver) {
  const GpuReport found = [&] {
    const WithoutGil release;
    return report_gpus(cuda_driver);
  }();
  nb::list gpus;
  for (const GpuFacts& gpu : found.gpus) gpus.append(dict_of(gpu));
  nb::dict facts;
  facts["driver_file"] = found.driver_file;
  facts["driver_version"] = found.driver_version;
  facts["why_no_driver"] = found.why_no_driver;
  facts["gpus"] = gpus;
  facts["kernel_for"] = found.kernel_for;
  facts["why_no_kernel"] = found.why_no_kernel;
  return facts;
}

}  // namespace

void bind_gpus(nb::module_& module) {
  module.def("report_gpus", &report, "cuda_driver"_a,
             nb::sig("def report_gpus(cuda_driver: str) -> dict[str, object]"));
}

}  // namespace nixl_connect::python
