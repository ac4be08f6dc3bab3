// SPDX-License-Identifier: Apache-2.0
//
// The measuring process of our own column: PairColumn's protocol over the public API.
#pragma once

namespace nixl_connect::bench {

// Serves until the parent closes the pipe. Returns the exit status.
int run_measuring_peer();

}  // namespace nixl_connect::bench
