// SPDX-License-Identifier: Apache-2.0
//
// Why an operation goes the way it goes: each path there is, how long it would take by
// it, and what stands against it. Values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nixl_connect {

struct PathEstimate {
  // "local": within this process; "host.map": memory of Connector::allocate() that this
  // process has mapped; "host.cma": system calls into the other process; "cuda.peer":
  // between GPUs of one host, within this process too; "cuda.staged": the same between
  // a GPU and the host; "ucx".
  std::string path;

  // How long the transfer would take, predicted from what this machine can do (or from
  // usual figures; `nixl-connect doctor --calibrate` measures it). 0 if it cannot.
  std::chrono::nanoseconds time{};

  // The predicted rate in GB (1e9 bytes) a second, without what every transfer costs
  // however small it is. 0 if it cannot be used.
  double gbps = 0;

  // Why it cannot be used, and what would change that, if anything would. Both empty
  // for a path that could carry the bytes.
  std::string obstacle;
  std::string remedy;

  bool is_usable() const noexcept { return obstacle.empty(); }
};

struct Plan {
  // The one taken. Empty: none may be, or the operation has not got so far; on the
  // exposing side, the peer has not told yet.
  std::string path;

  std::uint64_t bytes = 0;
  std::size_t ranges = 0;

  // The one taken, then the others that could be, in the order of preference, then the
  // rest. Those for another kind of memory ("cuda.peer" for the host's) are left out,
  // unless the options `paths` or `require` name them. Empty on the exposing side.
  std::vector<PathEstimate> paths;

  // A line for the work, and one or two for each path, for people.
  std::string to_text() const;
};

}  // namespace nixl_connect
