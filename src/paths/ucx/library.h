// SPDX-License-Identifier: Apache-2.0
//
// The UCX of this process: opened at run time, once, and quietly (no memory hooks, no
// signal handlers, a few milliseconds), reached through a table of function pointers.
#pragma once

#include <ucp/api/ucp.h>

#include <cstdint>
#include <string>

namespace nixl_connect::paths::ucx {

// One member a UCX function in use, named without its `ucp_` or `ucs_` prefix.
struct Functions {
#define NIXL_CONNECT_UCP(name) decltype(&::ucp_##name) name = nullptr;
#define NIXL_CONNECT_UCS(name) decltype(&::ucs_##name) name = nullptr;
#include "paths/ucx/functions.inc"
#undef NIXL_CONNECT_UCP
#undef NIXL_CONNECT_UCS
};

struct Library {
  Functions functions;
  std::string directory;  // of all its libraries
  std::string version;    // "1.22.0"
  unsigned major = 0;
  unsigned minor = 0;
  bool has_infiniband = false;  // came with the module for RDMA devices
  bool has_cma = false;         // and with the one for cross-memory attach
  bool has_cuda = false;        // and with the one for memory of GPUs
  std::uint64_t fork_generation = 0;

  // False in a child made by fork(), where nothing of UCX may be called.
  bool is_of_this_process() const noexcept;
};

// Opens UCX on the first call; later calls give the same one. `directory` empty: the
// copy that another part of this process has already opened as libucp.so.0, else the
// `libucx` wheel of the Python on PATH or in VIRTUAL_ENV, else the system's.
// Thread-safe, but changes UCX_* environment variables for the time of the first call:
// no other thread may read the environment then. Throws Error(kUnsupported) that lists
// every place looked at and why it was refused (missing, older than 1.19, libraries of
// two folders), or in a forked child; throws Error(kInvalidArgument) if `directory`
// differs from that of the copy already chosen.
const Library& open_library(const std::string& directory);

}  // namespace nixl_connect::paths::ucx
