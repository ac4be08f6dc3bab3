// SPDX-License-Identifier: Apache-2.0
//
// Bytes as text: base64 (RFC 4648, standard alphabet, padded) and hexadecimal. Pure
// functions; the decoders take hostile text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace nixl_connect::wire {

std::string encode_base64(base::BytesView bytes);

// Both decode `text` from its character `start` on and throw Error(kInvalidArgument)
// naming the first character that is wrong, counted from 0. Base64 is taken only as
// encode_base64 writes it; hexadecimal in either letter case.
base::Bytes decode_base64(std::string_view text, std::size_t start);
base::Bytes decode_hex(std::string_view text, std::size_t start);

}  // namespace nixl_connect::wire
