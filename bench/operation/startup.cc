// SPDX-License-Identifier: Apache-2.0
//
// operation_bench startup: what the first operation of a process costs.
#include <iostream>
#include <optional>

#include "nixl_connect/connector.h"
#include "operation/commands.h"
#include "peer_process.h"
#include "support/measure.h"
#include "support/memory.h"
#include "support/phases.h"

namespace nixl_connect::bench {
namespace {

using tools::Json;

constexpr double kGoalMs = 60;
constexpr std::size_t kSize = 4096;

Json first_read(std::optional<Connector>& connector, const Json& command) {
  const Pieces local = make_pieces(1, kSize, Registration::kTogether);
  const Stopwatch all;
  connector.emplace();
  const double connector_ms = all.ms();
  const auto remote =
      RdmaMetadata::from_json(command.at("metadata").get<std::string>());
  auto read = connector->begin_read(remote, local.descriptors);
  read.wait();
  return {{"connector_ms", connector_ms}, {"all_ms", all.ms()}};
}

}  // namespace

int run_first_reader() {
  tools::ParentProcess parent;
  std::optional<Connector> connector;
  parent.serve([&](const Json& command) { return first_read(connector, command); });
  return 0;
}

void measure_startup(const StartupOptions& options) {
  Phases phases;
  for (unsigned round = 0; round < options.rounds; ++round) {
    tools::PeerProcess exposing({tools::own_program(), "exposing"});
    tools::PeerProcess reading({tools::own_program(), "first-read"});
    const double opened_ms = exposing.ask({{"do", "open"}}).at("connector_ms");
    const Json exposed =
        exposing.ask({{"do", "expose"}, {"kind", "READ"}, {"size", kSize}});
    const Json read =
        reading.ask({{"do", "read"}, {"metadata", exposed.at("metadata")}});
    const double connector_ms = read.at("connector_ms");
    const double all_ms = read.at("all_ms");
    exposing.ask({{"do", "wait"}});

    phases.add("exposing: Connector", opened_ms);
    phases.add("exposing: first create", exposed.at("create_ms"));
    phases.add("reading: Connector", connector_ms);
    phases.add("reading: first read", all_ms - connector_ms);
    phases.add("reading: both", all_ms);
  }
  std::cout << "first operation of a process, " << kSize << " bytes\n";
  phases.print(std::cout);
  const double both = phases.median_ms("reading: both");
  std::cout << (both < kGoalMs ? "goal met: " : "goal missed: ") << both
            << " ms, under " << kGoalMs << " ms" << std::endl;
}

}  // namespace nixl_connect::bench
