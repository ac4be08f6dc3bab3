// SPDX-License-Identifier: Apache-2.0
//
// simulate --seeds N [--first S]: runs N seeds, stops at the first that breaks a rule,
// prints its trace and returns 1. simulate --trace SEED: prints the trace of one run.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "simulator.h"

namespace {

using nixl_connect::core::simulation::Coverage;
using nixl_connect::core::simulation::Report;
using nixl_connect::core::simulation::simulate;

bool print_run(std::uint64_t seed) {
  const Report report = simulate(seed, true);
  for (const std::string& line : report.trace) std::cout << line << '\n';
  for (const std::string& violation : report.violations)
    std::cout << "seed " << seed << " breaks a rule: " << violation << '\n';
  return report.violations.empty();
}

void print(const Coverage& coverage) {
  std::cout << "complete: reads " << coverage.reads_complete << ", writes "
            << coverage.writes_complete << ", readables " << coverage.readables_complete
            << ", writables " << coverage.writables_complete
            << "\nended otherwise: cancelled " << coverage.cancelled
            << ", disconnected " << coverage.disconnected << ", timed out "
            << coverage.timed_out << ", given up by the peer "
            << coverage.given_up_by_peer << "\nstale reads refused "
            << coverage.stale_reads_refused << ", pieces read past the end "
            << coverage.reads_past_finish << ", peers dropped "
            << coverage.peers_dropped << ", lost before they left "
            << coverage.lost_before_left << ", begun on a lost peer "
            << coverage.begun_on_lost_peer << ", early notifications "
            << coverage.early_notifications << ", peers killed "
            << coverage.peers_killed << ", writes joined " << coverage.writes_joined
            << ", begun early " << coverage.writes_early << ", found late "
            << coverage.writes_found << ", stayed open " << coverage.stayed_open
            << "\nviews: complete " << coverage.views_complete << ", joined "
            << coverage.views_joined << ", recalled " << coverage.views_recalled
            << ", waited for " << coverage.views_waited_for << ", of a dropped peer "
            << coverage.views_of_dropped << '\n';
}

bool run(std::uint64_t first, std::uint64_t seeds) {
  const auto start = std::chrono::steady_clock::now();
  Coverage coverage;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const Report report = simulate(seed);
    coverage += report.coverage;
    if (!report.violations.empty()) return print_run(seed);
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  std::cout << seeds << " seeds from " << first << " in " << taken.count() << " s\n";
  print(coverage);
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  std::uint64_t seeds = 0;
  std::uint64_t first = 1;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view name = arguments[i];
    const std::uint64_t value = std::strtoull(arguments[i + 1], nullptr, 10);
    if (name == "--trace") return print_run(value) ? EXIT_SUCCESS : EXIT_FAILURE;
    if (name == "--seeds") seeds = value;
    if (name == "--first") first = value;
  }
  if (seeds == 0) {
    std::cerr << "usage: simulate --seeds N [--first S] | --trace SEED\n";
    return 2;
  }
  return run(first, seeds) ? EXIT_SUCCESS : EXIT_FAILURE;
}
