// SPDX-License-Identifier: Apache-2.0
//
// The exposing process of the benchmarks. It answers commands, one line of JSON each
// (tools/peer_process.h), and has at most one operation at a time:
//
//   command  takes                                    answers
//   open                                              connector_ms
//   expose   kind, count, size, readers, apart,       create_ms, metadata_ms, metadata
//            check (fill memory to be read)
//   wait                                              wait_ms, woke_us
//   check    (what was written there, contents.h)
//   release  (drops the operation and its memory)
//   cpu      (processor time of the process so far)   cpu_s
//
// `kind` is READ or WRITE; count, readers, apart and check may be left out. woke_us is
// the time of the steady clock, which is the same in all processes, behind the wait.
#pragma once

#include <string>
#include <vector>

namespace nixl_connect::bench {

// Serves until the parent closes the pipe. With the argument "mapped", all that it
// exposes is of Connector::allocate(). Returns the exit status.
int run_exposing_peer(const std::vector<std::string>& arguments = {});

// Processor time of this process so far, all threads, in seconds.
double cpu_seconds();

}  // namespace nixl_connect::bench
