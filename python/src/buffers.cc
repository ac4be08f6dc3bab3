// SPDX-License-Identifier: Apache-2.0
//
// Where the bytes of a Python object are: by the buffer protocol, and by DLPack. Both
// give shape and strides (bytes) only of arrays that are not C-contiguous.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <vector>

#include "bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace nixl_connect::python {
namespace {

nb::tuple tuple_of(const std::vector<std::int64_t>& numbers) {
  nb::list list;
  for (const std::int64_t number : numbers) list.append(number);
  return nb::tuple(list);
}

// (address, bytes, item bytes, is read-only, shape or None, strides or None)
nb::tuple inspect_buffer(nb::handle object) {
  Py_buffer view;
  if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_STRIDED_RO) != 0)
    throw nb::python_error();
  nb::object shape = nb::none();
  nb::object strides = nb::none();
  if (PyBuffer_IsContiguous(&view, 'C') == 0) {
    shape = tuple_of({view.shape, view.shape + view.ndim});
    strides = tuple_of({view.strides, view.strides + view.ndim});
  }
  const auto address = reinterpret_cast<std::uintptr_t>(view.buf);
  const nb::tuple result = nb::make_tuple(address, view.len, view.itemsize,
                                          view.readonly != 0, shape, strides);
  PyBuffer_Release(&view);
  return result;
}

bool is_contiguous(const std::vector<std::int64_t>& shape,
                   const std::vector<std::int64_t>& strides, std::int64_t item_bytes) {
  std::int64_t expected = item_bytes;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

// (address, bytes, item bytes, DLPack device type, device id, shape or None, strides or
// None)
nb::tuple inspect_dlpack(const nb::ndarray<nb::ro>& array) {
  const auto item = static_cast<std::int64_t>(array.itemsize());
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
  for (std::size_t i = 0; i < array.ndim(); ++i) {
    shape.push_back(static_cast<std::int64_t>(array.shape(i)));
    strides.push_back(array.stride(i) * item);
  }
  const auto address = reinterpret_cast<std::uintptr_t>(array.data());
  const bool whole = is_contiguous(shape, strides, item);
  return nb::make_tuple(address, array.nbytes(), item, array.device_type(),
                        array.device_id(),
                        whole ? nb::object(nb::none()) : tuple_of(shape),
                        whole ? nb::object(nb::none()) : tuple_of(strides));
}

}  // namespace

void bind_buffers(nb::module_& module) {
  module.def("inspect_buffer", &inspect_buffer, "data"_a);
  module.def("inspect_dlpack", &inspect_dlpack, "data"_a);
}

}  // namespace nixl_connect::python
