// SPDX-License-Identifier: Apache-2.0
//
// operation_bench scattered: what it costs to read thousands of small pieces at once.
#include <iostream>

#include "nixl_connect/connector.h"
#include "operation/commands.h"
#include "peer_process.h"
#include "support/measure.h"
#include "support/memory.h"
#include "support/phases.h"

namespace nixl_connect::bench {
namespace {

using tools::Json;

constexpr double kGoalMs = 40;

void run_round(tools::PeerProcess& exposing, Connector& connector,
               const ScatteredOptions& options, const Pieces& local, Phases& phases) {
  const Json exposed = exposing.ask({{"do", "expose"},
                                     {"kind", "READ"},
                                     {"count", options.count},
                                     {"size", options.size},
                                     {"apart", options.is_apart}});
  exposing.send({{"do", "wait"}});
  const Stopwatch parse;
  const auto remote =
      RdmaMetadata::from_json(exposed.at("metadata").get<std::string>());
  const double parse_ms = parse.ms();
  const Stopwatch begin;
  auto read = connector.begin_read(remote, local.descriptors);
  const double begin_ms = begin.ms();
  const Stopwatch wait;
  read.wait();
  const double wait_ms = wait.ms();
  const double create_ms = exposed.at("create_ms");
  const double metadata_ms = exposed.at("metadata_ms");

  phases.add("create_readable", create_ms);
  phases.add("metadata and to_json", metadata_ms);
  phases.add("from_json", parse_ms);
  phases.add("begin_read", begin_ms);
  phases.add("wait", wait_ms);
  phases.add("all of these", create_ms + metadata_ms + parse_ms + begin_ms + wait_ms);
  exposing.receive();
  phases.add("exposing side is told", begin.ms());
}

}  // namespace

void measure_scattered(const ScatteredOptions& options) {
  tools::PeerProcess exposing({tools::own_program(), "exposing"});
  exposing.ask({{"do", "open"}});
  const Pieces local =
      make_pieces(options.count, options.size,
                  options.is_apart ? Registration::kApart : Registration::kTogether);
  Connector connector;
  Phases first;
  run_round(exposing, connector, options, local, first);  // Connects; not counted.
  Phases phases;
  for (unsigned round = 0; round < options.rounds; ++round) {
    run_round(exposing, connector, options, local, phases);
  }
  std::cout << "one read of " << options.count << " scattered descriptors of "
            << options.size << " bytes, registered "
            << (options.is_apart ? "one by one" : "together") << "\n";
  phases.print(std::cout);
  const double all = phases.median_ms("all of these");
  std::cout << (all < kGoalMs ? "goal met: " : "goal missed: ") << all << " ms, under "
            << kGoalMs << " ms" << std::endl;
}

}  // namespace nixl_connect::bench
