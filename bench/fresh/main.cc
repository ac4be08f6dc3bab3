// SPDX-License-Identifier: Apache-2.0
//
// fresh_bench: reads into memory that was never touched. Its second processes are this
// program, started again as `exposing` or `mapped`.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <string_view>

#include "fresh/raw.h"
#include "fresh/whole.h"
#include "support/exposing_peer.h"

namespace nixl_connect::bench {
namespace {

int start(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "exposing") return run_exposing_peer();
  if (role == "mapped") return run_exposing_peer({"mapped"});

  CLI::App app{"Reads into memory that was never touched."};
  std::size_t mib = 256;
  unsigned rounds = 5;
  bool is_whole_only = false;
  app.add_option("--mib", mib, "Size of the target")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--repeat", rounds, "Rounds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--whole", is_whole_only, "Only whole operations");
  CLI11_PARSE(app, argc, argv);
  if (!is_whole_only) measure_raw(mib << 20, rounds);
  measure_looks();
  measure_whole(mib << 20, rounds);
  return 0;
}

}  // namespace
}  // namespace nixl_connect::bench

int main(int argc, char** argv) try {
  return nixl_connect::bench::start(argc, argv);
} catch (const std::exception& error) {
  std::cerr << "fresh_bench: " << error.what() << std::endl;
  return 1;
}
