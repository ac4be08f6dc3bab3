// SPDX-License-Identifier: Apache-2.0
//
// What the paths cost on this machine, from the file that `nixl-connect doctor
// --calibrate` writes. Pure but for reading it.
#pragma once

#include <string>
#include <string_view>

#include "core/costs.h"

namespace nixl_connect::runtime {

// A JSON object with any of: "streaming_bytes", "engine_range_ns", "engine_bytes";
// "paths", an object with for each path's name any of "start_ns", "range_ns",
// "gbps_one_thread", "gbps_most"; "slots" with the same; besides, for people, "made",
// "host", "cores", "version". What is missing keeps its usual figure.
// Throws Error(kInvalidArgument), with the name, for anything else, and for figures
// that are not above 0 or are above 1e15.
core::Costs parse_costs(std::string_view json);

// The usual costs if the name is empty. Throws as above, and for a file that cannot be
// read.
core::Costs costs_of(const std::string& file);

}  // namespace nixl_connect::runtime
