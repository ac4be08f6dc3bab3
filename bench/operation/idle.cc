// SPDX-License-Identifier: Apache-2.0
//
// operation_bench idle: what waiting costs.
#include <chrono>
#include <iomanip>
#include <iostream>
#include <stdexcept>

#include "nixl_connect/connector.h"
#include "operation/commands.h"
#include "peer_process.h"
#include "support/exposing_peer.h"
#include "support/memory.h"

namespace nixl_connect::bench {
namespace {

using tools::Json;

constexpr double kGoalMsPerSecond = 1;  // 10 ms in 10 s
constexpr std::size_t kSize = 4096;

// Makes the two processes know each other by one small read.
void connect(tools::PeerProcess& peer, Connector& connector, const Pieces& local) {
  const Json exposed = peer.ask({{"do", "expose"}, {"kind", "READ"}, {"size", kSize}});
  const auto remote =
      RdmaMetadata::from_json(exposed.at("metadata").get<std::string>());
  connector.begin_read(remote, local.descriptors).wait();
  peer.ask({{"do", "wait"}});
}

void report(const char* who, double cpu_s, double seconds) {
  const double ms_per_second = cpu_s * 1e3 / seconds;
  std::cout << (ms_per_second < kGoalMsPerSecond ? "goal met: " : "goal missed: ")
            << who << " used " << cpu_s * 1e3 << " ms, " << ms_per_second
            << " ms per second, under " << kGoalMsPerSecond << std::endl;
}

}  // namespace

void measure_idle(const IdleOptions& options) {
  tools::PeerProcess peer({tools::own_program(), "exposing"});
  peer.ask({{"do", "open"}});
  const Pieces local = make_pieces(1, kSize, Registration::kTogether);
  Connector connector;
  connect(peer, connector, local);

  peer.ask({{"do", "expose"}, {"kind", "READ"}, {"size", kSize}});
  auto pending = connector.create_readable(local.descriptors);
  const double peer_before = peer.ask({{"do", "cpu"}}).at("cpu_s");
  const double before = cpu_seconds();
  if (pending.wait_for(std::chrono::duration_cast<std::chrono::nanoseconds>(
          std::chrono::duration<double>(options.seconds)))) {
    throw std::runtime_error("an operation that nobody uses has ended");
  }
  const double used = cpu_seconds() - before;
  const double peer_used =
      peer.ask({{"do", "cpu"}}).at("cpu_s").get<double>() - peer_before;

  std::cout << "waiting for " << options.seconds
            << " s, connected, a readable pending on both sides\n"
            << std::fixed << std::setprecision(3);
  report("the waiting process", used, options.seconds);
  report("the exposing process", peer_used, options.seconds);
}

}  // namespace nixl_connect::bench
