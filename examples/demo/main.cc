// SPDX-License-Identifier: Apache-2.0
//
// nixl_connect_demo: moves a file's bytes from this process into another one and back
// into a second buffer here, and shows how long it took, which way the bytes went and
// that they are still the same. The other process is this program, started again.
//
//   exposing_side.cc  the process that owns the memory and never touches it in between
//   copying_side.cc   the process that reads and writes it
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <string>

#include "demo/copying_side.h"
#include "demo/exposing_side.h"
#include "demo/source.h"

namespace {

int run(int argc, char** argv) {
  CLI::App app{
      "Moves a file's bytes into another process and back, and compares them.\n"
      "Fails if the result differs from the file."};
  std::string file;
  bool is_copying_side = false;
  app.add_option("FILE", file, "The file to move; without it 256 MiB of random bytes");
  app.add_flag("--copying-side", is_copying_side)->group("");  // Not in the help.
  CLI11_PARSE(app, argc, argv);

  if (is_copying_side) return demo::run_copying_side();
  return demo::run_exposing_side(file.empty() ? demo::random_source(256 << 20)
                                              : demo::read_source(file));
}

}  // namespace

int main(int argc, char** argv) try {
  return run(argc, argv);
} catch (const std::exception& error) {
  std::cerr << "nixl_connect_demo: " << error.what() << std::endl;
  return 1;
}
