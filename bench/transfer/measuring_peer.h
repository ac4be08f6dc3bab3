// SPDX-License-Identifier: Apache-2.0
//
// The measuring process of our own columns: PairColumn's protocol over the public API.
// Besides, `measure` takes
//
//   count  ranges with gaps between them, of `size` bytes each; else one
//   fresh  each transfer has local memory that was never touched
//   waits  one at a time, wait() is called, which takes part in the copying; otherwise
//          the caller spins on the status
//   views  each is the opening of a view
//   window 0: without several under way, and without gbps
//   check  a first transfer's bytes are compared with what the exposing side filled in,
//          or local memory filled, for its `check`; otherwise the bytes are any
//
// and answers the path of the transfers, too.
#pragma once

#include <string>

namespace nixl_connect::bench {

// Serves until the parent closes the pipe. Returns the exit status. Transfers take
// `required_path` or fail; if it is empty, whichever path is fastest.
int run_measuring_peer(const std::string& required_path);

}  // namespace nixl_connect::bench
