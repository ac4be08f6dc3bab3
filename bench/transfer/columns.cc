// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "transfer/columns.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <sstream>
#include <stdexcept>

#include "peer_process.h"
#include "transfer/pair_column.h"
#include "transfer/ucx_column.h"

namespace nixl_connect::bench {
namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

struct Candidate {
  std::string name;
  std::string needs;  // what is missing; empty: nothing
  std::function<std::unique_ptr<Column>()> open;
};

std::vector<Candidate> candidates(const ColumnPrograms& programs) {
  const auto open_ours = [](const std::string& name,
                            const std::vector<std::string>& exposing_arguments,
                            const std::string& required_path, bool is_host_forbidden) {
    const std::string self = tools::own_program();
    std::vector<std::string> exposing{self, "exposing"};
    exposing.insert(exposing.end(), exposing_arguments.begin(),
                    exposing_arguments.end());
    std::vector<std::string> measuring{self, "measuring", required_path};
    // Which takes the local channel away as well.
    if (is_host_forbidden)
      measuring.insert(measuring.begin(), {"env", "NIXL_CONNECT_FORBID=host"});
    return std::make_unique<PairColumn>(name, exposing, measuring);
  };
  const std::string perftest = programs.ucx_perftest;
  const std::string python = programs.nixl_python;
  return {
      {"ours", "", [=] { return open_ours("ours", {}, "", false); }},
      {"ours-map", "",
       [=] { return open_ours("ours-map", {"mapped"}, "host.map", false); }},
      {"ours-ucx", "", [=] { return open_ours("ours-ucx", {}, "ucx", true); }},
      {"ucx", perftest.empty() ? "ucx_perftest: set --ucx-perftest" : "",
       [=] { return std::make_unique<UcxColumn>(perftest); }},
      {"nixl",
       python.empty() ? "a Python with NIXL: set NIXL_CONNECT_INTEROP_PYTHON" : "",
       [=] {
         const std::string script = NIXL_CONNECT_NIXL_PAIR;
         return std::make_unique<PairColumn>(
             "nixl", std::vector{python, script, std::string("exposing")},
             std::vector{python, script, std::string("measuring")});
       }},
  };
}

}  // namespace

ColumnPrograms find_programs() {
  ColumnPrograms programs{"", variable("NIXL_CONNECT_INTEROP_PYTHON")};
  std::istringstream folders(variable("PATH"));
  std::vector<std::filesystem::path> places;
  const std::filesystem::path ucx = variable("NIXL_CONNECT_UCX_DIRECTORY");
  if (!ucx.empty()) places.push_back(ucx.parent_path() / "bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    places.emplace_back(folder);
  }
  for (const auto& place : places) {
    if (!std::filesystem::exists(place / "ucx_perftest")) continue;
    programs.ucx_perftest = (place / "ucx_perftest").string();
    break;
  }
  return programs;
}

void apply_common_settings() {
  constexpr int kKeepUserChoice = 0;
  ::setenv("UCX_TLS", "tcp,cma,self", kKeepUserChoice);
  ::setenv("UCX_NET_DEVICES", "lo", kKeepUserChoice);
  ::setenv("UCX_RNDV_THRESH", "inf", kKeepUserChoice);
}

std::vector<std::unique_ptr<Column>> open_columns(const std::vector<std::string>& names,
                                                  const ColumnPrograms& programs) {
  const std::vector<Candidate> all = candidates(programs);
  for (const std::string& name : names) {
    if (std::none_of(all.begin(), all.end(),
                     [&](const Candidate& known) { return known.name == name; })) {
      throw std::invalid_argument("there is no column " + name);
    }
  }
  std::vector<std::unique_ptr<Column>> columns;
  for (const Candidate& candidate : all) {
    const bool is_named =
        std::find(names.begin(), names.end(), candidate.name) != names.end();
    if (!names.empty() && !is_named) continue;
    if (candidate.needs.empty()) {
      columns.push_back(candidate.open());
    } else if (is_named) {
      throw std::invalid_argument("column " + candidate.name + " needs " +
                                  candidate.needs);
    } else {
      std::cerr << "column " << candidate.name << " is left out, it needs "
                << candidate.needs << std::endl;
    }
  }
  return columns;
}

}  // namespace nixl_connect::bench
