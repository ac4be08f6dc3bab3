// SPDX-License-Identifier: Apache-2.0
//
// Measures one transfer after another, or several under way. One thread.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "peer_process.h"
#include "support/measure.h"

namespace nixl_connect::bench {

// `begin()` starts a transfer, `end(it)` returns when that one is done.
template <typename Begin, typename End>
tools::Json measure_series(const tools::Json& command, const Begin& begin,
                           const End& end) {
  const unsigned operations = command.at("operations");
  const unsigned window = std::max(1U, command.value("window", 0U));
  using Transfer = decltype(begin());
  std::deque<std::pair<Transfer, Stopwatch>> under_way;
  std::vector<double> latencies_us;
  const Stopwatch all;
  for (unsigned begun = 0; begun < operations || !under_way.empty();) {
    if (begun < operations && under_way.size() < window) {
      const Stopwatch watch;
      under_way.emplace_back(begin(), watch);
      ++begun;
    } else {
      end(under_way.front().first);
      latencies_us.push_back(under_way.front().second.us());
      under_way.pop_front();
    }
  }
  return {{"seconds", all.seconds()}, {"latencies_us", latencies_us}};
}

}  // namespace nixl_connect::bench
