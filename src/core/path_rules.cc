// SPDX-License-Identifier: Apache-2.0
#include "core/path_rules.h"

#include <algorithm>
#include <cmath>
#include <string>
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
                    "\"; the paths are local, host.map, host.cma, cuda.peer, "
                    "cuda.staged and ucx, and host stands for all but ucx");
  return found;
}

PathSet forbidden_by(const std::vector<std::string>& names) {
  PathSet forbidden;
  for (const std::string& name : names) forbidden.add(paths_named(name, "forbid"));
  return forbidden;
}

PathSet required_by(const std::string& name) {
  return name.empty() ? PathSet() : paths_named(name, "require");
}

std::vector<Path> ordered_by(const std::vector<std::string>& names) {
  std::vector<Path> ordered;
  for (const std::string& name : names)
    for (const PathSet named = paths_named(name, "paths"); const Path path : kAllPaths)
      if (named.has(path)) ordered.push_back(path);
  return ordered;
}

double checked_rate(double gbps) {
  if (std::isnan(gbps) || gbps < 0)
    throw Error(ErrorKind::kInvalidArgument,
                "min_gbps is " + std::to_string(gbps) +
                    "; it is a rate in GB a second, or 0 for any");
  return gbps;
}

unsigned checked_blocks(std::optional<unsigned> blocks) {
  if (blocks && (*blocks < 1 || *blocks > 1024))
    throw Error(ErrorKind::kInvalidArgument,
                "max_blocks is " + std::to_string(*blocks) +
                    "; it is a number of multiprocessors from 1 to 1024, and sm = "
                    "false keeps copies off all of them");
  return blocks.value_or(0);
}

}  // namespace

PathRules rules_of(const ConnectorOptions& options) {
  return {forbidden_by(options.forbid),
          required_by(options.require),
          ordered_by(options.paths),
          checked_rate(options.min_gbps),
          options.sm,
          checked_blocks(options.max_blocks)};
}

PathRules rules_of(const OperationOptions& options, const PathRules& connector) {
  PathRules rules = connector;
  rules.forbidden.add(forbidden_by(options.forbid));
  if (options.require) rules.required = required_by(*options.require);
  if (options.paths) rules.ordered = ordered_by(*options.paths);
  if (options.min_gbps) rules.min_gbps = checked_rate(*options.min_gbps);
  rules.may_use_sm = options.sm.value_or(rules.may_use_sm);
  if (options.max_blocks) rules.max_blocks = checked_blocks(options.max_blocks);
  return rules;
}

bool is_host_forbidden(const ConnectorOptions& options) {
  return std::count(options.forbid.begin(), options.forbid.end(), kHostGroup) != 0;
}

}  // namespace nixl_connect::core
