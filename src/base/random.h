// SPDX-License-Identifier: Apache-2.0
//
// Numbers nobody can guess, from the kernel: names, tokens, keys. Thread-safe, and safe
// across fork(): no state in this process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace nixl_connect::base {

void fill_random(std::span<std::byte> bytes);

// Never 0.
std::uint64_t random_u64();

// Lower-case hexadecimal digits.
std::string random_hex(std::size_t digits);

// A UUID of version 4, "0f8fad5b-d9cb-469f-a165-70867728950e".
std::string random_uuid4();

}  // namespace nixl_connect::base
