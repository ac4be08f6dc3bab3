// SPDX-License-Identifier: Apache-2.0
//
// operation_bench: what an operation costs apart from moving its bytes. Its second
// processes are this program, started again as `exposing` or `first-read`.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <string_view>

#include "operation/commands.h"
#include "support/exposing_peer.h"

namespace nixl_connect::bench {
namespace {

int parse_and_run(int argc, char** argv) {
  CLI::App app{"What an operation costs apart from moving its bytes."};
  app.require_subcommand(1);

  ScatteredOptions scattered;
  auto* const scattered_app =
      app.add_subcommand("scattered", "One read of many small pieces, phase by phase");
  scattered_app->add_option("--count", scattered.count, "Descriptors")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  scattered_app->add_option("--size", scattered.size, "Bytes of each")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  scattered_app->add_flag("--apart", scattered.is_apart,
                          "Register each piece by itself, not all as one memory");
  scattered_app->add_option("--repeat", scattered.rounds, "Rounds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  scattered_app->callback([&] { measure_scattered(scattered); });

  IdleOptions idle;
  auto* const idle_app = app.add_subcommand("idle", "Processor time used by waiting");
  idle_app->add_option("--seconds", idle.seconds, "How long to wait")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  idle_app->callback([&] { measure_idle(idle); });

  StartupOptions startup;
  auto* const startup_app =
      app.add_subcommand("startup", "Connector and first read of fresh processes");
  startup_app->add_option("--repeat", startup.rounds, "Rounds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  startup_app->callback([&] { measure_startup(startup); });

  CLI11_PARSE(app, argc, argv);
  return 0;
}

int start(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "exposing") return run_exposing_peer();
  if (role == "first-read") return run_first_reader();
  return parse_and_run(argc, argv);
}

}  // namespace
}  // namespace nixl_connect::bench

int main(int argc, char** argv) try {
  return nixl_connect::bench::start(argc, argv);
} catch (const std::exception& error) {
  std::cerr << "operation_bench: " << error.what() << std::endl;
  return 1;
}
