// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "transfer/results.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <iomanip>
#include <ostream>
#include <string_view>
#include <thread>

#include "nixl_connect/connector.h"
#include "support/measure.h"

namespace nixl_connect::bench {
namespace {

using Json = nlohmann::json;

double median_of(const std::vector<Sample>& samples, double Sample::*number) {
  std::vector<double> values;
  values.reserve(samples.size());
  for (const Sample& sample : samples) values.push_back(sample.*number);
  return median(values);
}

void print_header(const Results& results, OperationKind kind, std::ostream& out) {
  out << (kind == OperationKind::kRead ? "\nread" : "\nwrite") << "\n"
      << std::setw(9) << "size";
  for (const std::string& column : results.columns) {
    out << std::setw(12) << column + " us" << std::setw(10) << "p99" << std::setw(8)
        << "GB/s";
  }
  for (std::size_t i = 1; i < results.columns.size(); ++i) {
    out << std::setw(11) << "x " + results.columns[i];
  }
  out << "\n";
}

void print_row(const Results& results, const Row& row, std::ostream& out) {
  out << std::setw(9) << size_text(row.work.size);
  for (std::size_t i = 0; i < results.columns.size(); ++i) {
    const Sample sample = row.typical(i);
    out << std::setw(12) << sample.median_us << std::setw(10) << sample.p99_us
        << std::setw(8) << sample.gbps;
  }
  for (std::size_t i = 1; i < results.columns.size(); ++i) {
    out << std::setw(11) << row.typical(0).gbps / row.typical(i).gbps;
  }
  out << std::endl;
}

Json samples_json(const std::vector<Sample>& samples) {
  Json list = Json::array();
  for (const Sample& sample : samples) {
    list.push_back({{"median_us", sample.median_us},
                    {"p99_us", sample.p99_us},
                    {"gbps", sample.gbps}});
  }
  return list;
}

Json machine_json() {
  utsname system{};
  ::uname(&system);
  return {{"kernel", system.release},
          {"architecture", system.machine},
          {"cores", std::thread::hardware_concurrency()}};
}

Json ucx_settings_json() {
  Json settings = Json::object();
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (!text.starts_with("UCX_")) continue;
    const std::size_t end = text.find('=');
    settings[std::string(text.substr(0, end))] = text.substr(end + 1);
  }
  return settings;
}

}  // namespace

Sample Row::typical(std::size_t column) const {
  const auto& rounds = samples.at(column);
  return {median_of(rounds, &Sample::median_us), median_of(rounds, &Sample::p99_us),
          median_of(rounds, &Sample::gbps)};
}

std::string size_text(std::size_t bytes) {
  constexpr const char* kUnits[] = {" B", " KiB", " MiB", " GiB"};
  std::size_t unit = 0;
  for (; unit < 3 && bytes != 0 && bytes % 1024 == 0; ++unit) bytes /= 1024;
  return std::to_string(bytes) + kUnits[unit];
}

void print_tables(const Results& results, std::ostream& out) {
  out << std::fixed << std::setprecision(2);
  for (const OperationKind kind : {OperationKind::kRead, OperationKind::kWrite}) {
    bool has_header = false;
    for (const Row& row : results.rows) {
      if (row.work.kind != kind) continue;
      if (!has_header) print_header(results, kind, out);
      has_header = true;
      print_row(results, row, out);
    }
  }
}

Json to_json(const Results& results) {
  Json rows = Json::array();
  for (const Row& row : results.rows) {
    Json columns;
    for (std::size_t i = 0; i < results.columns.size(); ++i) {
      columns[results.columns[i]] = samples_json(row.samples[i]);
    }
    rows.push_back({{"kind", to_string(row.work.kind)},
                    {"size", row.work.size},
                    {"operations", row.work.operations},
                    {"window", row.work.window},
                    {"columns", columns}});
  }
  return {{"version", version()},
          {"machine", machine_json()},
          {"ucx_settings", ucx_settings_json()},
          {"rows", rows}};
}

}  // namespace nixl_connect::bench
