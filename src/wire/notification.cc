// SPDX-License-Identifier: Apache-2.0
//
// Two records, `name` and `msg`, in NIXL's container.
#include "wire/notification.h"

#include "nixl_connect/error.h"
#include "wire/serdes.h"
#include "wire/utf8.h"

namespace nixl_connect::wire {
namespace {

std::string read_text(RecordReader& reader, std::string_view tag) {
  const std::string_view text = base::as_text(reader.read(tag));
  if (!is_utf8(text)) reader.refuse("is not UTF-8 text");
  return std::string(text);
}

}  // namespace

base::Bytes encode(const Notification& notification) {
  RecordWriter records;
  records.add("name", notification.agent);
  records.add("msg", notification.message);
  return std::move(records).take();
}

Notification decode_notification(base::BytesView payload) {
  RecordReader reader("NIXL notification", payload);
  Notification notification;
  notification.agent = read_text(reader, "name");
  notification.message = read_text(reader, "msg");
  return notification;
}

}  // namespace nixl_connect::wire
