// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 of memory. A pure function.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace demo {

// 64 hexadecimal digits.
std::string sha256(std::span<const std::byte> bytes);

}  // namespace demo
