// SPDX-License-Identifier: Apache-2.0
//
// UTF-8 at the boundary: what comes in is checked, what goes out is made to fit. Pure
// functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nixl_connect::wire {

// As RFC 3629: shortest forms only, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text) noexcept;

// `text` with '?' for each byte that is not UTF-8; if that is more than `max_bytes`,
// cut at the end of a character and with "..." behind, together as many at most.
std::string bounded_utf8(std::string_view text, std::size_t max_bytes);

}  // namespace nixl_connect::wire
