// SPDX-License-Identifier: Apache-2.0
//
// Addresses as numbers, which ranges have, and as the system takes them.
#pragma once

#include <cstdint>

namespace nixl_connect::paths::host {

inline void* pointer_to(std::uint64_t address) noexcept {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<void*>(static_cast<std::uintptr_t>(address));
}

}  // namespace nixl_connect::paths::host
