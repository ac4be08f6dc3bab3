// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <cmath>
#include <optional>

#include "bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace nixl_connect::python {
namespace {

constexpr double kNanosecondsOfSecond = 1e9;

Plan plan_of(const PlainPlan& plain) {
  Plan plan;
  const auto& [path, bytes, ranges, paths] = plain;
  plan.path = path;
  plan.bytes = bytes;
  plan.ranges = ranges;
  for (const auto& [name, seconds, gbps, obstacle, remedy] : paths)
    plan.paths.push_back({name,
                          std::chrono::nanoseconds(
                              std::llround(seconds.value_or(0) * kNanosecondsOfSecond)),
                          gbps.value_or(0), obstacle, remedy});
  return plan;
}

}  // namespace

PlainPlan plain(const Plan& plan) {
  std::vector<PlainEstimate> paths;
  for (const PathEstimate& each : plan.paths) {
    std::optional<double> seconds;
    std::optional<double> gbps;
    if (each.is_usable() || each.time.count() > 0) {
      seconds = static_cast<double>(each.time.count()) / kNanosecondsOfSecond;
      gbps = each.gbps;
    }
    paths.emplace_back(each.path, seconds, gbps, each.obstacle, each.remedy);
  }
  return {plan.path, plan.bytes, plan.ranges, std::move(paths)};
}

void bind_plan(nb::module_& module) {
  module.def(
      "plan_text", [](const PlainPlan& plan) { return plan_of(plan).to_text(); },
      "plan"_a);
}

}  // namespace nixl_connect::python
