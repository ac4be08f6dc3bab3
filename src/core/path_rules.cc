// SPDX-License-Identifier: Apache-2.0
#include "core/path_rules.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "nixl_connect/error.h"

namespace nixl_connect::core {
namespace {

constexpr std::string_view kHostGroup = "host";

// "host" stands for several paths.
PathSet paths_named(std::string_view name, const char* option) {
  PathSet found;
  for (const Path path : kAllPaths)
    if (name == name_of(path) || (name == kHostGroup && path != Path::kUcx))
      found.add(path);
  if (found.is_empty())
    throw Error(ErrorKind::kInvalidArgument,
                std::string(option) + " names the path \"" + std::string(name) +
                    "\"; the paths are local, host.map, host.cma and ucx, and host "
                    "stands for the first three");
  return found;
}

template <typename Options>
PathRules parse(const Options& options) {
  PathRules rules;
  for (const std::string& name : options.forbid)
    rules.forbidden.add(paths_named(name, "forbid"));
  if (!options.require.empty())
    rules.required = paths_named(options.require, "require");
  for (const std::string& name : options.paths)
    for (const PathSet named = paths_named(name, "paths"); const Path path : kAllPaths)
      if (named.has(path)) rules.ordered.push_back(path);
  if (std::isnan(options.min_gbps) || options.min_gbps < 0)
    throw Error(ErrorKind::kInvalidArgument,
                "min_gbps is " + std::to_string(options.min_gbps) +
                    "; it is a rate in GB a second, or 0 for any");
  rules.min_gbps = options.min_gbps;
  return rules;
}

}  // namespace

PathRules rules_of(const ConnectorOptions& options) { return parse(options); }

PathRules rules_of(const OperationOptions& options, const PathRules& connector) {
  PathRules rules = parse(options);
  rules.forbidden.add(connector.forbidden);
  if (rules.required.is_empty()) rules.required = connector.required;
  if (rules.ordered.empty()) rules.ordered = connector.ordered;
  if (rules.min_gbps == 0) rules.min_gbps = connector.min_gbps;
  return rules;
}

bool is_host_forbidden(const ConnectorOptions& options) {
  return std::count(options.forbid.begin(), options.forbid.end(), kHostGroup) != 0;
}

}  // namespace nixl_connect::core
