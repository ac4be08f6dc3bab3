// SPDX-License-Identifier: Apache-2.0
//
// gpu_bench: what gpu_bench.py measures in C++, each role a process that answers in
// lines of JSON, see peers.h:
//
//   exposing, measuring            ours, by the public API
//   raw-exposing, raw-measuring    what the GPUs can do, by the driver alone
#include <exception>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>

#include "gpu/peers.h"

namespace nixl_connect::bench {
namespace {

int start(const std::string& role) {
  static const std::map<std::string, int (*)()> roles = {
      {"exposing", run_gpu_exposing},
      {"measuring", run_gpu_measuring},
      {"raw-exposing", run_raw_gpu_exposing},
      {"raw-measuring", run_raw_gpu_measuring}};
  const auto found = roles.find(role);
  if (found == roles.end())
    throw std::invalid_argument("bench/gpu_bench.py starts this program");
  return found->second();
}

}  // namespace
}  // namespace nixl_connect::bench

int main(int argc, char** argv) try {
  return nixl_connect::bench::start(argc == 2 ? argv[1] : "");
} catch (const std::exception& error) {
  std::cerr << "gpu_bench: " << error.what() << std::endl;
  return 1;
}
