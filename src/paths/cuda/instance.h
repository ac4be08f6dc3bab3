// SPDX-License-Identifier: Apache-2.0
//
// By which processes are told apart.
#pragma once

#include <array>
#include <cstddef>

namespace nixl_connect::paths::cuda {

// A process, for as long as it runs.
using Instance = std::array<std::byte, 16>;

}  // namespace nixl_connect::paths::cuda
