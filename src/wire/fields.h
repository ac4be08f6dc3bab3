// SPDX-License-Identifier: Apache-2.0
//
// Our own records: fields of (u16 type, u32 length, bytes), so that an older reader can
// skip what it does not know. Pure functions; the reader takes hostile bytes.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace nixl_connect::wire {

struct Field {
  std::uint16_t type = 0;
  base::BytesView value;
};

// A u32 length, and behind it what `write_value` writes to `out`.
template <std::invocable WriteValue>
void append_with_length(base::Writer& out, WriteValue&& write_value) {
  const std::size_t at = out.bytes().size();
  out.u32(0);
  write_value();
  out.put_u32(at, static_cast<std::uint32_t>(out.bytes().size() - at - 4));
}

template <std::invocable WriteValue>
void append_field(base::Writer& out, std::uint16_t type, WriteValue&& write_value) {
  out.u16(type);
  append_with_length(out, write_value);
}
void append_field(base::Writer& out, std::uint16_t type, base::BytesView value);

// Consumes one field. Nothing if what is left holds none.
std::optional<Field> take_field(base::Reader& reader);

}  // namespace nixl_connect::wire
