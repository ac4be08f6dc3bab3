// SPDX-License-Identifier: Apache-2.0
//
// The completion signal of the NIXL dialect: active message 0, no header, this payload.
// Pure functions; the decoder takes hostile bytes.
#pragma once

#include <string>

#include "base/bytes.h"

namespace nixl_connect::wire {

constexpr unsigned kNotificationMessageId = 0;

struct Notification {
  std::string agent;    // the sender's NIXL agent name
  std::string message;  // the exposing operation's notification key; may be empty

  bool operator==(const Notification&) const = default;
};

base::Bytes encode(const Notification& notification);

// Throws Error(kInvalidArgument) naming the tag found and expected, or for text that is
// not UTF-8.
Notification decode_notification(base::BytesView payload);

}  // namespace nixl_connect::wire
