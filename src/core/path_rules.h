// SPDX-License-Identifier: Apache-2.0
//
// What users ask of the paths, out of the options of a Connector and of an operation.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "core/paths.h"
#include "nixl_connect/options.h"

namespace nixl_connect::core {

struct PathRules {
  PathSet forbidden;
  // Empty: any may be taken.
  PathSet required;
  // If there are any, only these may be taken, and the first that can be used is.
  std::vector<Path> ordered;
  // Of the prediction; 0: whatever it is.
  double min_gbps = 0;
  // What cuda.peer and cuda.staged may take of the GPU that copies; 0 blocks: what they
  // take by themselves.
  bool may_use_sm = true;
  unsigned max_blocks = 0;

  bool operator==(const PathRules&) const = default;
};

// Both throw Error(kInvalidArgument) for names that are no path, a rate that is not a
// number from 0 on, and a number of blocks that is out of range.
PathRules rules_of(const ConnectorOptions& options);

// What the operation says counts before what its Connector says of the same option,
// but what either forbids is forbidden.
PathRules rules_of(const OperationOptions& options, const PathRules& connector);

// Whether all that is of one host is forbidden, as if every peer were on another one.
bool is_host_forbidden(const ConnectorOptions& options);

}  // namespace nixl_connect::core
