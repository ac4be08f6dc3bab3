// SPDX-License-Identifier: Apache-2.0
// Reads the environment for ConnectorOptions.
#include "nixl_connect/options.h"

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

void read_network(ConnectorOptions& options) {
  constexpr const char* kName = "NIXL_CONNECT_NETWORK";
  const std::string_view value = variable(kName);
  if (value.empty()) return;
  if (value != "on" && value != "off") refuse(kName, value, "on or off");
  options.network = value == "on";
}

void read_spin(ConnectorOptions& options) {
  constexpr const char* kName = "NIXL_CONNECT_SPIN_US";
  constexpr unsigned kMaxMicroseconds = 1'000'000;
  const std::string_view value = variable(kName);
  if (value.empty()) return;
  unsigned microseconds = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, microseconds);
  if (error != std::errc() || stop != end || microseconds > kMaxMicroseconds)
    refuse(kName, value, "a number of microseconds from 0 to 1000000");
  options.spin = std::chrono::microseconds(microseconds);
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
  options.net_devices = variable("NIXL_CONNECT_NET_DEVICES");
  read_network(options);
  read_spin(options);
  read_log_level(options);
  return options;
}

}  // namespace nixl_connect
