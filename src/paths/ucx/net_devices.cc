// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/net_devices.h"

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <vector>

#include "nixl_connect/error.h"

namespace nixl_connect::paths::ucx {
namespace {

std::vector<std::string> known_devices() {
  std::vector<std::string> names;
  for (const char* folder : {"/sys/class/net", "/sys/class/infiniband"}) {
    std::error_code none;  // the folder is not there
    for (const auto& entry : std::filesystem::directory_iterator(folder, none))
      names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

bool is_pattern(std::string_view name) {
  return name == "all" || name.find_first_of("*?[]^") != std::string_view::npos;
}

}  // namespace

void check_net_devices(const std::string& devices) {
  const std::vector<std::string> known = known_devices();
  if (known.empty()) return;  // a host without /sys
  std::istringstream list(devices);
  for (std::string name; std::getline(list, name, ',');) {
    if (is_pattern(name)) return;
    const std::string device = name.substr(0, name.find(':'));
    if (std::find(known.begin(), known.end(), device) != known.end()) continue;
    throw Error(ErrorKind::kInvalidArgument,
                "net_devices names \"" + name +
                    "\", which this host does not have; it has " + joined(known));
  }
}

}  // namespace nixl_connect::paths::ucx
