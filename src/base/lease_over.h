// SPDX-License-Identifier: Apache-2.0
//
// What the initiating side's user is told of an exposing operation that is over, by
// whichever path it was noticed.
#pragma once

#include <string>
#include <string_view>

namespace nixl_connect::base {

// `reason`: the exposing side's own words, if it has sent any.
inline std::string lease_over_text(std::string_view reason = {}) {
  const std::string why = reason.empty() ? "" : " (" + std::string(reason) + ")";
  return "the exposing side ended the operation" + why + "; ask it for new metadata";
}

}  // namespace nixl_connect::base
