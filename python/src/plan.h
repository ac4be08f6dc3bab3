// SPDX-License-Identifier: Apache-2.0
//
// The library's Plan as Python gets it, to make values of its own of it. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "nixl_connect/plan.h"

namespace nixl_connect::python {

// Path, seconds, GB a second (both none if it could not carry the bytes), obstacle,
// remedy.
using PlainEstimate = std::tuple<std::string, std::optional<double>,
                                 std::optional<double>, std::string, std::string>;

// Path, bytes, ranges, and for each path the above.
using PlainPlan =
    std::tuple<std::string, std::uint64_t, std::size_t, std::vector<PlainEstimate>>;

PlainPlan plain(const Plan& plan);

}  // namespace nixl_connect::python
