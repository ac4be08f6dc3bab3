// SPDX-License-Identifier: Apache-2.0
#include "indices.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <string>

namespace nb = nanobind;

namespace nixl_connect::python {
namespace {

using Array = nb::ndarray<nb::ro, nb::ndim<1>, nb::device::cpu>;

template <typename Integer>
std::vector<std::int64_t> read(const Array& array) {
  const auto* first = static_cast<const Integer*>(array.data());
  std::vector<std::int64_t> indices(array.shape(0));
  for (std::size_t i = 0; i < indices.size(); ++i)
    indices[i] = static_cast<std::int64_t>(
        first[static_cast<std::int64_t>(i) * array.stride(0)]);
  return indices;
}

[[noreturn]] void refuse_indices() {
  throw nb::type_error(
      "indices are a sequence of int or a one-dimensional array of integers of 16 to "
      "64 bits in host memory");
}

std::int64_t number_of(nb::handle item) {
  if (PyBool_Check(item.ptr()))
    throw nb::type_error(
        "indices are page numbers, not True and False; of a mask, give the numbers of "
        "the pages that are True");
  const long long number = PyLong_AsLongLong(item.ptr());
  if (number != -1 || PyErr_Occurred() == nullptr) return number;
  const bool is_too_large = PyErr_ExceptionMatches(PyExc_OverflowError) != 0;
  if (!is_too_large && PyErr_ExceptionMatches(PyExc_TypeError) == 0)
    throw nb::python_error();
  PyErr_Clear();
  if (is_too_large)
    throw nb::index_error("there is no page with a number beyond 64 bits");
  refuse_indices();
}

// A list or tuple, by its functions. Code of an item's own type may change it
// meanwhile, and then the item is kept.
std::vector<std::int64_t> read(nb::handle items, Py_ssize_t (*size)(PyObject*),
                               PyObject* (*get)(PyObject*, Py_ssize_t)) {
  std::vector<std::int64_t> indices;
  indices.reserve(static_cast<std::size_t>(size(items.ptr())));
  for (Py_ssize_t i = 0; i < size(items.ptr()); ++i) {
    const nb::handle item = get(items.ptr(), i);
    if (PyLong_CheckExact(item.ptr()))
      indices.push_back(number_of(item));
    else
      indices.push_back(number_of(nb::borrow(item)));
  }
  return indices;
}

std::string text_of(nb::handle object) {
  return nb::cast<std::string>(nb::repr(object));
}

}  // namespace

std::size_t page_bytes_of(nb::handle object) {
  if (PyIndex_Check(object.ptr()) == 0)
    throw nb::type_error(("page_bytes is an int, not " + text_of(object)).c_str());
  // Clipped: no memory is that large.
  const Py_ssize_t bytes = PyNumber_AsSsize_t(object.ptr(), nullptr);
  if (bytes == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
  if (bytes <= 0)
    throw nb::value_error(
        ("page_bytes is " + text_of(object) + "; it is a positive number").c_str());
  return static_cast<std::size_t>(bytes);
}

std::vector<std::int64_t> indices_of(nb::handle object) {
  if (PyList_Check(object.ptr())) return read(object, &PyList_Size, &PyList_GetItem);
  if (PyTuple_Check(object.ptr())) return read(object, &PyTuple_Size, &PyTuple_GetItem);
  Array array;
  if (nb::try_cast(object, array)) {
    const nb::dlpack::dtype type = array.dtype();
    // Unsigned numbers beyond the signed ones turn negative, and are outside as well.
    if (type == nb::dtype<std::int64_t>() || type == nb::dtype<std::uint64_t>())
      return read<std::int64_t>(array);
    if (type == nb::dtype<std::int32_t>()) return read<std::int32_t>(array);
    if (type == nb::dtype<std::uint32_t>()) return read<std::uint32_t>(array);
    if (type == nb::dtype<std::int16_t>()) return read<std::int16_t>(array);
    if (type == nb::dtype<std::uint16_t>()) return read<std::uint16_t>(array);
  }
  refuse_indices();
}

}  // namespace nixl_connect::python
