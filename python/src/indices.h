// SPDX-License-Identifier: Apache-2.0
//
// The arguments of pages(). Page numbers: a list or tuple, or any one-dimensional array
// of integers in host memory, as it comes (numpy, torch, array.array), read without
// Python objects. With the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nixl_connect::python {

// Throws TypeError for what is no integer, ValueError for one that is not positive.
std::size_t page_bytes_of(nanobind::handle object);

// Throws TypeError for anything else, True and False among it, and IndexError for a
// number beyond 64 bits.
std::vector<std::int64_t> indices_of(nanobind::handle object);

}  // namespace nixl_connect::python
