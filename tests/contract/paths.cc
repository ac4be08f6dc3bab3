// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <ostream>
#include <stdexcept>

#include "contract/path.h"

namespace nixl_connect::contract {

const std::vector<Path>& all_paths() {
  static const std::vector<Path> paths{
      {
          .name = "Local",
          .taken = "local",
          .is_one_process = true,
      },
      {
          .name = "HostMap",
          .taken = "host.map",
          .memory = MemoryKind::kAllocated,
          .outlives_munmap = true,
      },
      {
          .name = "HostCma",
          .taken = "host.cma",
          .reports_bad_local_memory = true,
      },
      {
          .name = "UcxCma",
          .taken = "ucx: ",
          .transport = "cma/memory",
          .forbid = {"host"},
          .environment = {{"UCX_TLS", "cma,tcp,self"}},
      },
      {
          .name = "UcxTcp",
          .taken = "ucx: ",
          .transport = "tcp/lo",
          .forbid = {"host"},
          .environment = {{"UCX_TLS", "tcp,self"}, {"UCX_NET_DEVICES", "lo"}},
          .stops_within = std::chrono::milliseconds(50),  // for UCX's 16 MiB under way
          .kills_owner_on_munmap = true,
          // UCX 1.22 serves a read over TCP by messages. If the reader dies with some
          // of them unsent, UCX now and then aborts this process: stubs.c:107, below
          // uct_tcp_ep_t_cleanup().
          .can_fall_with_reader = true,
      },
  };
  return paths;
}

std::vector<Path> two_process_paths() {
  std::vector<Path> paths;
  std::copy_if(all_paths().begin(), all_paths().end(), std::back_inserter(paths),
               [](const Path& path) { return !path.is_one_process; });
  return paths;
}

std::vector<Path> paths_that_survive_readers() {
  std::vector<Path> paths = two_process_paths();
  std::erase_if(paths, [](const Path& path) { return path.can_fall_with_reader; });
  return paths;
}

const Path& path_named(std::string_view name) {
  for (const Path& path : all_paths())
    if (path.name == name) return path;
  throw std::out_of_range("no path is named " + std::string(name));
}

ConnectorOptions Path::options() const {
  ConnectorOptions options = ConnectorOptions::from_environment();
  options.forbid = forbid;
  // What takes a peer a moment may take it long where others want the processors, too.
  options.drain_timeout = std::chrono::seconds(20);
  return options;
}

std::ostream& operator<<(std::ostream& out, const Path& path) {
  return out << path.name;
}

Environment::Environment(const Path& path) : path_(path) {
  for (const auto& [name, value] : path_.environment)
    ::setenv(name.c_str(), value.c_str(), 1);
}

Environment::~Environment() {
  for (const auto& variable : path_.environment) ::unsetenv(variable.first.c_str());
}

}  // namespace nixl_connect::contract
