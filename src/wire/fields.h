// SPDX-License-Identifier: Apache-2.0
//
// Our own records: fields of (u16 type, u32 length, bytes), so that an older reader can
// skip what it does not know. Pure functions; the reader takes hostile bytes.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace nixl_connect::wire {

struct Field {
  std::uint16_t type = 0;
  base::BytesView value;
};

void append_field(base::Writer& out, std::uint16_t type, base::BytesView value);

// Consumes one field. Nothing if what is left holds none.
std::optional<Field> take_field(base::Reader& reader);

}  // namespace nixl_connect::wire
