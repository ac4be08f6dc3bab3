// SPDX-License-Identifier: Apache-2.0
//
// transfer_bench: reads and writes between two processes, ours beside UCX alone and raw
// NIXL; the help below tells what is measured and how it is kept fair. Our column's two
// processes are this program, started again as `exposing` and `measuring`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/exposing_peer.h"
#include "transfer/column.h"
#include "transfer/columns.h"
#include "transfer/goals.h"
#include "transfer/measuring_peer.h"
#include "transfer/results.h"

namespace nixl_connect::bench {
namespace {

constexpr const char* kHelp = R"(Reads and writes between two processes.

  ours      this library: metadata parsed once, begin_read or begin_write for each
            transfer, over the path it takes by itself
  ours-map  the same where the exposed memory is of Connector::allocate()
  ours-ucx  the same as ours with the paths of one host forbidden
  ucx       ucx_perftest: ucp_get, and ucp_put_bw (complete when the source may be
            reused)
  nixl      genuine NIXL from Python: handles prepared once, posted for each transfer

In each column: one transfer at a time, seen complete by a spinning caller (median and
99th percentile in us), then several under way (GB/s, 1e9 bytes/s; ours waits without
spinning). All have the same UCX settings (UCX_* of the environment, else TCP and CMA on
the loopback device, no rendezvous), error handling on, warm connections, touched memory
on huge pages, the same number of transfers, and no process is pinned to a core. Of ours
and nixl each transfer also tells the exposing side of its end. The columns take turns in
each round; a number in the table is the median over the rounds.)";

struct Options {
  std::vector<std::size_t> sizes{8,       4 << 10,  64 << 10,  1 << 20,
                                 4 << 20, 64 << 20, 256 << 20, 1 << 30};
  std::vector<OperationKind> kinds{OperationKind::kRead, OperationKind::kWrite};
  std::vector<std::string> columns;
  ColumnPrograms programs = find_programs();
  unsigned rounds = 5;
  unsigned max_operations = 2000;
  unsigned window = 16;
  std::string json_file;
};

// As many transfers as make 1 GiB, within limits.
unsigned operations_for(std::size_t size, unsigned max_operations) {
  const std::size_t fitting = (std::size_t{1} << 30) / std::max<std::size_t>(size, 1);
  return static_cast<unsigned>(
      std::clamp<std::size_t>(fitting, std::min(4U, max_operations), max_operations));
}

Row measure(const std::vector<std::unique_ptr<Column>>& columns, const Work& work,
            unsigned rounds) {
  Row row{work, std::vector<std::vector<Sample>>(columns.size())};
  for (unsigned round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      row.samples[i].push_back(columns[i]->measure(work));
    }
  }
  return row;
}

void run(const Options& options) {
  apply_common_settings();
  const auto columns = open_columns(options.columns, options.programs);
  Results results;
  for (const auto& column : columns) results.columns.push_back(column->name());
  for (const OperationKind kind : options.kinds) {
    for (const std::size_t size : options.sizes) {
      const unsigned operations = operations_for(size, options.max_operations);
      const Work work{kind, size, operations, std::min(options.window, operations)};
      std::cerr << "measuring " << to_string(kind) << " of " << size_text(size)
                << std::endl;
      results.rows.push_back(measure(columns, work, options.rounds));
    }
  }
  print_tables(results, std::cout);
  print_goals(results, std::cout);
  if (!options.json_file.empty()) {
    std::ofstream file(options.json_file);
    if (!(file << to_json(results).dump(2) << std::endl)) {
      throw std::runtime_error("cannot write " + options.json_file);
    }
  }
}

int parse_and_run(int argc, char** argv) {
  Options options;
  bool is_tiny = false;
  CLI::App app{kHelp};
  app.add_option("--sizes", options.sizes, "Bytes, for example 8,4KiB,1MiB")
      ->delimiter(',')
      ->transform(CLI::AsSizeValue(false));
  const std::map<std::string, OperationKind> kinds{{"read", OperationKind::kRead},
                                                   {"write", OperationKind::kWrite}};
  app.add_option("--kinds", options.kinds, "read, write; both unless given")
      ->delimiter(',')
      ->transform(CLI::CheckedTransformer(kinds));
  app.add_option("--columns", options.columns, "All that are possible unless given")
      ->delimiter(',');
  app.add_option("--repeat", options.rounds, "Rounds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--operations", options.max_operations,
                 "Transfers in a round, at most; large ones are fewer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--window", options.window, "Transfers under way for GB/s")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--ucx-perftest", options.programs.ucx_perftest, "Path of the program")
      ->capture_default_str();
  app.add_option("--json", options.json_file, "Also write every sample to this file");
  app.add_flag("--tiny", is_tiny, "Only shows that it works: two sizes, few transfers");
  CLI11_PARSE(app, argc, argv);
  if (is_tiny) {
    options.sizes = {8, 64 << 10};
    options.rounds = 1;
    options.max_operations = 20;
  }
  run(options);
  return 0;
}

int start(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "exposing") return run_exposing_peer({argv + 2, argv + argc});
  if (role == "measuring") return run_measuring_peer(argc > 2 ? argv[2] : "");
  return parse_and_run(argc, argv);
}

}  // namespace
}  // namespace nixl_connect::bench

int main(int argc, char** argv) try {
  return nixl_connect::bench::start(argc, argv);
} catch (const std::exception& error) {
  std::cerr << "transfer_bench: " << error.what() << std::endl;
  return 1;
}
