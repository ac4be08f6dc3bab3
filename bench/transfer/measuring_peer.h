// SPDX-License-Identifier: Apache-2.0
//
// The measuring process of our own columns: PairColumn's protocol over the public API.
#pragma once

#include <string>
#include <vector>

namespace nixl_connect::bench {

// Serves until the parent closes the pipe. Returns the exit status.
int run_measuring_peer(const std::vector<std::string>& forbidden_paths);

}  // namespace nixl_connect::bench
