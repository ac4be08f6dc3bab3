// SPDX-License-Identifier: Apache-2.0
// Reads the environment for ConnectorOptions.
#include "nixl_connect/options.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "nixl_connect/error.h"

namespace nixl_connect {
namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

[[noreturn]] void refuse(const char* name, std::string_view value,
                         const char* accepted) {
  throw Error(ErrorKind::kInvalidArgument, "environment variable " + std::string(name) +
                                               "=" + std::string(value) +
                                               " is not understood; say " + accepted);
}

void read_switch(const char* name, bool& option) {
  const std::string_view value = variable(name);
  if (value.empty()) return;
  if (value != "on" && value != "off") refuse(name, value, "on or off");
  option = value == "on";
}

// None if the variable is not set.
std::optional<unsigned> read_number(const char* name, unsigned lowest, unsigned highest,
                                    const char* accepted) {
  const std::string_view value = variable(name);
  if (value.empty()) return std::nullopt;
  unsigned number = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || stop != end || number < lowest || number > highest)
    refuse(name, value, accepted);
  return number;
}

void read_spin(ConnectorOptions& options) {
  if (const auto microseconds =
          read_number("NIXL_CONNECT_SPIN_US", 0, 1'000'000,
                      "a number of microseconds from 0 to 1000000"))
    options.spin = std::chrono::microseconds(*microseconds);
}

void read_copy_threads(ConnectorOptions& options) {
  if (const auto threads = read_number("NIXL_CONNECT_COPY_THREADS", 1, 1024,
                                       "a number of threads from 1 to 1024"))
    options.copy_threads = threads;
}

void read_max_blocks(ConnectorOptions& options) {
  if (const auto blocks = read_number("NIXL_CONNECT_MAX_BLOCKS", 1, 1024,
                                      "a number of multiprocessors from 1 to 1024"))
    options.max_blocks = blocks;
}

std::vector<std::string> read_list(const char* name) {
  std::vector<std::string> list;
  std::string_view rest = variable(name);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    list.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return list;
}

// Empty if there is none.
std::string usual_costs_file() {
  std::string folder(variable("XDG_CONFIG_HOME"));
  if (folder.empty()) {
    const std::string home(variable("HOME"));
    if (home.empty()) return {};
    folder = home + "/.config";
  }
  std::string file = folder + "/nixl_connect/costs.json";
  return ::access(file.c_str(), R_OK) == 0 ? file : std::string();
}

void read_log_level(ConnectorOptions& options) {
  constexpr const char* kName = "NIXL_CONNECT_LOG";
  const std::string_view value = variable(kName);
  if (value.empty()) return;
  if (value == "debug") {
    options.log_level = LogLevel::kDebug;
  } else if (value == "info") {
    options.log_level = LogLevel::kInfo;
  } else if (value == "warning") {
    options.log_level = LogLevel::kWarning;
  } else if (value == "error") {
    options.log_level = LogLevel::kError;
  } else if (value == "off") {
    options.log_level = LogLevel::kOff;
  } else {
    refuse(kName, value, "debug, info, warning, error or off");
  }
}

}  // namespace

ConnectorOptions ConnectorOptions::from_environment() {
  ConnectorOptions options;
  options.ucx_directory = variable("NIXL_CONNECT_UCX_DIRECTORY");
  options.cuda_driver = variable("NIXL_CONNECT_CUDA_DRIVER");
  options.net_devices = variable("NIXL_CONNECT_NET_DEVICES");
  read_switch("NIXL_CONNECT_NETWORK", options.network);
  read_spin(options);
  read_copy_threads(options);
  read_switch("NIXL_CONNECT_HUGE_PAGES", options.advise_huge_pages);
  read_switch("NIXL_CONNECT_PTRACE", options.allow_ptrace);
  read_switch("NIXL_CONNECT_WAIT_FOR_STREAMS", options.wait_for_streams);
  options.paths = read_list("NIXL_CONNECT_PATHS");
  options.require = variable("NIXL_CONNECT_REQUIRE");
  options.forbid = read_list("NIXL_CONNECT_FORBID");
  read_switch("NIXL_CONNECT_SM", options.sm);
  read_max_blocks(options);
  // One that is set and empty means no file.
  const char* const costs_file = std::getenv("NIXL_CONNECT_COSTS");
  options.costs_file = costs_file == nullptr ? usual_costs_file() : costs_file;
  read_log_level(options);
  return options;
}

}  // namespace nixl_connect
