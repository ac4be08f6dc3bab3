// SPDX-License-Identifier: Apache-2.0
//
// What tells this process from all others, also from those that had or will have its
// pid. Thread-safe.
#pragma once

#include <array>
#include <cstddef>

namespace nixl_connect::base {

// Random. Another one in a child made by fork().
std::array<std::byte, 16> process_identity();

}  // namespace nixl_connect::base
