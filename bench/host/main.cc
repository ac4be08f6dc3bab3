// SPDX-License-Identifier: Apache-2.0
//
// host_bench: what host_bench.py measures in C++ besides transfer_bench's columns, each
// role a process that answers in lines of JSON (tools/peer_process.h):
//
//   raw-exposing                            raw_peers.h
//   raw-measuring MEANS THREADS PIECE       raw_peers.h, MEANS as raw_copy.h names them
//   telling BEFORE, eventfd-trips BEFORE    waking.h
//   exposing, echo                          their second processes
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "host/raw_copy.h"
#include "host/raw_peers.h"
#include "host/waking.h"
#include "support/exposing_peer.h"

namespace nixl_connect::bench {
namespace {

int start(const std::vector<std::string>& arguments) {
  const std::string role = arguments.empty() ? "" : arguments[0];
  if (role == "raw-exposing") return run_raw_exposing();
  if (role == "raw-measuring") {
    return run_raw_measuring(means_of(arguments.at(1)), std::stoul(arguments.at(2)),
                             std::stoul(arguments.at(3)));
  }
  if (role == "telling") return run_telling(before_of(arguments.at(1)));
  if (role == "eventfd-trips") return run_eventfd_trips(before_of(arguments.at(1)));
  if (role == "exposing") return run_exposing_peer();
  if (role == "echo") {
    return run_echo(std::stoi(arguments.at(1)), std::stoi(arguments.at(2)));
  }
  throw std::invalid_argument("bench/host_bench.py starts this program");
}

}  // namespace
}  // namespace nixl_connect::bench

int main(int argc, char** argv) try {
  return nixl_connect::bench::start({argv + 1, argv + argc});
} catch (const std::exception& error) {
  std::cerr << "host_bench: " << error.what() << std::endl;
  return 1;
}
