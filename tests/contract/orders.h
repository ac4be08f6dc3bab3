// SPDX-License-Identifier: Apache-2.0
//
// What a Peer and the process behind it say to each other, as JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "contract/arena.h"
#include "contract/side.h"
#include "contract/watch.h"

namespace nixl_connect::contract {

using Json = nlohmann::json;

inline void to_json(Json& json, const Range& range) {
  json = {range.offset, range.size};
}
inline void from_json(const Json& json, Range& range) {
  range = {json.at(0).get<std::size_t>(), json.at(1).get<std::size_t>()};
}

inline void to_json(Json& json, const Ending& ending) {
  json = {ending.status, ending.error, ending.text, ending.bytes, ending.path};
}
inline void from_json(const Json& json, Ending& ending) {
  ending = {json.at(0), json.at(1), json.at(2), json.at(3), json.at(4)};
}

// With what the tests use.
inline Json options_json(const OperationOptions& options) {
  return {options.timeout.value_or(std::chrono::nanoseconds(0)).count(),
          options.readers, options.stays_open, options.sm.value_or(true)};
}
inline OperationOptions options_of(const Json& json) {
  OperationOptions options{
      .readers = json.at(1), .stays_open = json.at(2), .sm = json.at(3).get<bool>()};
  const std::chrono::nanoseconds timeout(json.at(0).get<std::int64_t>());
  if (timeout.count() != 0) options.timeout = timeout;
  return options;
}

}  // namespace nixl_connect::contract
