// SPDX-License-Identifier: Apache-2.0
//
// What was measured, as values, as a table and as JSON.
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "transfer/column.h"

namespace nixl_connect::bench {

// One work in all columns: samples[column][round].
struct Row {
  Work work;
  std::vector<std::vector<Sample>> samples;

  // Each number is the median of that number over the rounds.
  Sample typical(std::size_t column) const;
};

struct Results {
  std::vector<std::string> columns;
  std::vector<Row> rows;
};

// "4 KiB"; a size that is no whole number of a unit is given in the next smaller one.
std::string size_text(std::size_t bytes);

// One table for reads and one for writes. The columns behind the first one also get the
// first one's throughput divided by theirs: above 1, the first one is faster.
void print_tables(const Results& results, std::ostream& out);

// Every sample of every round, with the machine and the UCX settings in force.
nlohmann::json to_json(const Results& results);

}  // namespace nixl_connect::bench
