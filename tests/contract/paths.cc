// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <stdexcept>

#include "contract/path.h"

namespace nixl_connect::contract {
namespace {

std::vector<Path> host_paths() {
  return {
      {
          .name = "Local",
          .taken = "local",
          .is_one_process = true,
      },
      {
          .name = "HostMap",
          .taken = "host.map",
          .here = MemoryKind::kAllocated,
          .there = MemoryKind::kAllocated,
          .is_mapped = true,
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
}

}  // namespace

const std::vector<Path>& all_paths() {
  static const std::vector<Path> all = [] {
    std::vector<Path> paths = host_paths();
    const std::vector<Path> of_gpus = gpu_paths();
    paths.insert(paths.end(), of_gpus.begin(), of_gpus.end());
    return paths;
  }();
  return all;
}

std::vector<Path> paths_of_all_tests() {
  std::vector<Path> paths = all_paths();
  std::erase_if(paths, [](const Path& path) { return path.is_for_bytes_only; });
  return paths;
}

std::vector<Path> two_process_paths() {
  std::vector<Path> paths = paths_of_all_tests();
  std::erase_if(paths, [](const Path& path) { return path.is_one_process; });
  return paths;
}

std::vector<Path> paths_that_survive_readers() {
  std::vector<Path> paths = two_process_paths();
  std::erase_if(paths, [](const Path& path) { return path.can_fall_with_reader; });
  return paths;
}

std::vector<Path> paths_of_many_bytes() {
  std::vector<Path> paths{path_named("HostCma"), path_named("UcxTcp")};
  const std::vector<Path> of_gpus = has_gpus() ? gpu_paths() : std::vector<Path>();
  paths.insert(paths.end(), of_gpus.begin(), of_gpus.end());
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

ConnectorOptions Path::options_here() const {
  ConnectorOptions chosen = options();
  if (is_served) chosen.cuda_driver = "/nowhere/libcuda.so.1";
  return chosen;
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
