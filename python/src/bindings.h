// SPDX-License-Identifier: Apache-2.0
//
// The parts of the extension module, each bound by one function of its own file. All of
// them run once, under the import of nixl_connect._native.
#pragma once

#include <nanobind/nanobind.h>

namespace nixl_connect::python {

void bind_allocation(nanobind::module_& module);
void bind_errors(nanobind::module_& module);
void bind_buffers(nanobind::module_& module);
void bind_memory(nanobind::module_& module);
void bind_remote(nanobind::module_& module);
void bind_completion_queue(nanobind::module_& module);
void bind_operation(nanobind::module_& module);
void bind_connector(nanobind::module_& module);
void bind_plan(nanobind::module_& module);
void bind_checks(nanobind::module_& module);
void bind_threads(nanobind::module_& module);
void bind_pins(nanobind::module_& module);
void bind_log(nanobind::module_& module);
void bind_gpus(nanobind::module_& module);

}  // namespace nixl_connect::python
