// SPDX-License-Identifier: Apache-2.0
//
// The memory of one operation as Python passes it: a Memory or a list of them.
#pragma once

#include <nanobind/nanobind.h>

#include <span>
#include <vector>

#include "memory.h"

namespace nixl_connect::python {

// Pointers that live as long as `object` does. Throws TypeError for anything else.
std::vector<const Memory*> memories_of(nanobind::handle object);

// The library's descriptors of all their ranges, in their order.
std::vector<Descriptor> descriptors_of(std::span<const Memory* const> memories);

}  // namespace nixl_connect::python
