// SPDX-License-Identifier: Apache-2.0
//
// The one layout that the extension and the control messages share.
#include "wire/fields.h"

namespace nixl_connect::wire {

void append_field(base::Writer& out, std::uint16_t type, base::BytesView value) {
  append_field(out, type, [&] { out.raw(value); });
}

std::optional<Field> take_field(base::Reader& reader) {
  const auto type = reader.u16();
  const auto length = reader.u32();
  if (!type || !length) return std::nullopt;
  const auto value = reader.raw(*length);
  if (!value) return std::nullopt;
  return Field{*type, *value};
}

}  // namespace nixl_connect::wire
