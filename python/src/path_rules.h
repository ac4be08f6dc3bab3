// SPDX-License-Identifier: Apache-2.0
//
// Which paths may be taken and what they take, as Python says it: `paths`, `require`,
// `forbid`, `min_gbps`, `sm` and `max_blocks`; None leaves an option as it is. The
// types of the casters are included for whoever binds it.
#pragma once

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace nixl_connect::python {

using PathRules =
    std::tuple<std::optional<std::vector<std::string>>, std::optional<std::string>,
               std::optional<std::vector<std::string>>, std::optional<double>,
               std::optional<bool>, std::optional<unsigned>>;

// For ConnectorOptions and OperationOptions.
template <typename Options>
void apply(std::optional<PathRules> rules, Options& options) {
  if (!rules) return;
  auto& [paths, require, forbid, min_gbps, sm, max_blocks] = *rules;
  if (paths) options.paths = *std::move(paths);
  if (require) options.require = *std::move(require);
  if (forbid) options.forbid = *std::move(forbid);
  if (min_gbps) options.min_gbps = *min_gbps;
  if (sm) options.sm = *sm;
  if (max_blocks) options.max_blocks = *max_blocks;
}

}  // namespace nixl_connect::python
