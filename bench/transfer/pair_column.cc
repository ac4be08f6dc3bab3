// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "transfer/pair_column.h"

#include <utility>

#include "support/measure.h"

namespace nixl_connect::bench {

using tools::Json;

PairColumn::PairColumn(std::string name, const std::vector<std::string>& exposing,
                       const std::vector<std::string>& measuring)
    : Column(std::move(name)), exposing_(exposing), measuring_(measuring) {
  exposing_.ask({{"do", "open"}});
  measuring_.ask({{"do", "open"}});
}

Sample PairColumn::measure(const Work& work) {
  const std::string kind(to_string(work.kind));
  // The operation stays open for more transfers than are made.
  const unsigned readers = 1U << 30;
  const Json exposed = exposing_.ask(
      {{"do", "expose"}, {"kind", kind}, {"size", work.size}, {"readers", readers}});
  const Json measured = measuring_.ask({{"do", "measure"},
                                        {"kind", kind},
                                        {"size", work.size},
                                        {"operations", work.operations},
                                        {"window", work.window},
                                        {"metadata", exposed.at("metadata")}});
  exposing_.ask({{"do", "release"}});
  const std::vector<double> latencies = measured.at("latencies_us");
  return {median(latencies), percentile(latencies, 0.99), measured.at("gbps")};
}

}  // namespace nixl_connect::bench
