// SPDX-License-Identifier: Apache-2.0
//
// Memory that peers of the host map, as a buffer of bytes. Its user is
// nixl_connect/_allocation.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "bindings.h"
#include "nixl_connect/connector.h"

namespace nb = nanobind;

namespace nixl_connect::python {
namespace {

using Bytes = nb::ndarray<nb::memview, std::uint8_t, nb::ndim<1>>;

nb::object allocate(std::size_t size, bool huge_pages) {
  auto memory = std::make_unique<Allocation>(Connector::allocate(size, huge_pages));
  std::byte* const data = memory->data();
  const nb::capsule owner(memory.get(), [](void* kept) noexcept {
    const std::unique_ptr<Allocation> released(static_cast<Allocation*>(kept));
  });
  static_cast<void>(memory.release());  // the capsule's
  return nb::cast(Bytes(data, {size}, owner));
}

}  // namespace

void bind_allocation(nb::module_& module) {
  module.def("allocate", &allocate, nb::arg("size"), nb::arg("huge_pages"));
}

}  // namespace nixl_connect::python
