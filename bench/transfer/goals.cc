// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "transfer/goals.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <ostream>
#include <string_view>

namespace nixl_connect::bench {
namespace {

constexpr std::size_t kLarge = 1 << 20;
constexpr std::size_t kSmall = 4096;
constexpr double kShareOfUcx = 0.95;
constexpr double kMicrosecondsAboveUcx = 2;
constexpr double kShareOfNixl = 0.5;

std::optional<std::size_t> column_of(const Results& results, std::string_view name) {
  const auto& names = results.columns;
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return found - names.begin();
}

void print(std::ostream& out, bool is_met) {
  out << (is_met ? "goal met:    " : "goal missed: ");
}

void print_throughput(const Row& row, std::size_t ours, std::size_t ucx,
                      std::ostream& out) {
  const double share = row.typical(ours).gbps / row.typical(ucx).gbps;
  print(out, share >= kShareOfUcx);
  out << (row.work.kind == OperationKind::kRead ? "read" : "write") << " of "
      << size_text(row.work.size) << " at " << share
      << " of UCX's throughput, at least " << kShareOfUcx << "\n";
}

void print_latency(const Row& row, std::size_t ours, std::optional<std::size_t> ucx,
                   std::optional<std::size_t> nixl, std::ostream& out) {
  const double us = row.typical(ours).median_us;
  if (ucx) {
    const double above = us - row.typical(*ucx).median_us;
    print(out, above <= kMicrosecondsAboveUcx);
    out << "read of " << size_text(row.work.size) << " in UCX's time + " << above
        << " us, at most " << kMicrosecondsAboveUcx << "\n";
  }
  if (nixl) {
    const double share = us / row.typical(*nixl).median_us;
    print(out, share <= kShareOfNixl);
    out << "read of " << size_text(row.work.size) << " in " << share
        << " of NIXL's time, at most " << kShareOfNixl << "\n";
  }
}

}  // namespace

void print_goals(const Results& results, std::ostream& out) {
  const auto ours = column_of(results, "ours");
  const auto ucx = column_of(results, "ucx");
  const auto nixl = column_of(results, "nixl");
  if (!ours) return;
  out << "\n";
  for (const Row& row : results.rows) {
    if (ucx && row.work.size >= kLarge) print_throughput(row, *ours, *ucx, out);
    if (row.work.kind == OperationKind::kRead && row.work.size == kSmall) {
      print_latency(row, *ours, ucx, nixl, out);
    }
  }
  out << std::flush;
}

}  // namespace nixl_connect::bench
