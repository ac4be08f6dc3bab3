// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/providers.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

namespace nixl_connect::paths::ucx {
namespace {

namespace fs = std::filesystem;

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

// Entries of a folder whose names begin and go on as told; none if it cannot be read.
std::vector<fs::path> entries(const fs::path& folder, std::string_view prefix,
                              std::string_view part = {}) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(prefix) && name.find(part) != std::string::npos)
      found.push_back(at->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::optional<fs::path> python_on_path() {
  std::string_view rest = variable("PATH");
  while (!rest.empty()) {
    const std::size_t length = std::min(rest.find(':'), rest.size());
    const fs::path candidate = fs::path(rest.substr(0, length)) / "python3";
    if (length > 0 && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(length + 1, rest.size()));
  }
  return std::nullopt;
}

// A virtual environment's python3 is a link into the installation it was made from;
// packages may be in either.
std::vector<fs::path> python_prefixes() {
  std::vector<fs::path> prefixes;
  if (const std::string_view active = variable("VIRTUAL_ENV"); !active.empty())
    prefixes.emplace_back(active);
  if (const auto python = python_on_path()) {
    prefixes.push_back(python->parent_path().parent_path());
    std::error_code error;
    const fs::path resolved = fs::canonical(*python, error);
    if (!error) prefixes.push_back(resolved.parent_path().parent_path());
  }
  return prefixes;
}

}  // namespace

std::vector<std::string> wheel_directories() {
  std::vector<std::string> found;
  for (const fs::path& prefix : python_prefixes()) {
    for (const fs::path& python : entries(prefix / "lib", "python3")) {
      for (const char* packages : {"site-packages", "dist-packages"}) {
        const std::string folder = python / packages / "libucx" / "lib";
        std::error_code error;
        if (fs::is_directory(folder, error) &&
            std::find(found.begin(), found.end(), folder) == found.end())
          found.push_back(folder);
      }
    }
  }
  return found;
}

std::string library_file(const std::string& directory, const std::string& name) {
  const fs::path plain = fs::path(directory) / (name + ".so.0");
  std::error_code error;
  if (fs::exists(plain, error)) return plain;
  const auto hashed = entries(directory, name + "-", ".so");
  return hashed.empty() ? std::string() : hashed.front().string();
}

bool has_module(const std::string& directory, const std::string& name) {
  return !entries(fs::path(directory) / "ucx", "libuct_" + name + ".so").empty();
}

}  // namespace nixl_connect::paths::ucx
