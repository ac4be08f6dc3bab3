// SPDX-License-Identifier: Apache-2.0
//
// The library's Error as a Python exception. Which class, and with what attributes, is
// decided in nixl_connect/_errors.py. Runs with the GIL, when a bound call throws.
#include <nanobind/nanobind.h>

#include <exception>

#include "bindings.h"
#include "nixl_connect/error.h"

namespace nb = nanobind;

namespace nixl_connect::python {
namespace {

void raise(const Error& error) {
  const nb::object exception =
      nb::module_::import_("nixl_connect._errors")
          .attr("error_of")(static_cast<int>(error.kind()), error.what());
  PyErr_SetObject(exception.type().ptr(), exception.ptr());
}

void translate(const std::exception_ptr& thrown, void* /*payload*/) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    try {
      raise(error);
    } catch (nb::python_error& failure) {
      failure.restore();
    }
  }
}

}  // namespace

void bind_errors(nb::module_& /*module*/) {
  nb::register_exception_translator(translate);
}

}  // namespace nixl_connect::python
