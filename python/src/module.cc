// SPDX-License-Identifier: Apache-2.0
//
// nixl_connect._native, as a table of contents. The module is private: its users are
// the Python files beside it, which check arguments and give every name its meaning.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>

#include "bindings.h"
#include "nixl_connect/connector.h"

namespace nixl_connect::python {

NB_MODULE(_native, module) {
  module.doc() = "The C++ library of nixl_connect; private.";
  module.attr("version") = std::string(nixl_connect::version());
  bind_errors(module);
  bind_threads(module);
  bind_pins(module);
  bind_buffers(module);
  bind_allocation(module);
  bind_memory(module);
  bind_remote(module);
  bind_checks(module);
  bind_completion_queue(module);
  bind_log(module);
  bind_operation(module);
  bind_connector(module);
  bind_plan(module);
  bind_gpus(module);
}

}  // namespace nixl_connect::python
