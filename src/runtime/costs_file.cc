// SPDX-License-Identifier: Apache-2.0
#include "runtime/costs_file.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "nixl_connect/error.h"

namespace nixl_connect::runtime {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::string& cause) {
  throw Error(ErrorKind::kInvalidArgument, "the costs of the paths: " + cause);
}

constexpr double kHighest = 1e15;  // ten days, or a petabyte: no machine's figure

template <std::size_t N>
void check_names(const json& object, const std::array<std::string_view, N>& known,
                 const std::string& where) {
  for (const auto& [name, value] : object.items())
    if (std::find(known.begin(), known.end(), name) == known.end())
      refuse(std::string(where).append(" has \"").append(name) +
             "\", which is unknown");
}

// Sets `value` if the object names it.
template <typename Number>
void read(const json& object, const char* name, Number& value) {
  const auto found = object.find(name);
  if (found == object.end()) return;
  if (!found->is_number() || found->template get<double>() <= 0)
    refuse(std::string(name) + " is not a number above 0");
  if (found->template get<double>() > kHighest)
    refuse(std::string(name) + " is above 1e15");
  value = found->template get<Number>();
}

void read_path(const std::string& path, const json& object, core::PathCosts& costs) {
  if (!object.is_object()) refuse(path + " is not an object");
  check_names(object,
              std::array<std::string_view, 4>{"start_ns", "range_ns", "gbps_one_thread",
                                              "gbps_most"},
              path);
  read(object, "start_ns", costs.start_ns);
  read(object, "range_ns", costs.range_ns);
  read(object, "gbps_one_thread", costs.gbps_one_thread);
  read(object, "gbps_most", costs.gbps_most);
}

}  // namespace

core::Costs parse_costs(std::string_view text) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) refuse("not a JSON object");
  check_names(object,
              std::array<std::string_view, 9>{"streaming_bytes", "engine_range_ns",
                                              "engine_bytes", "paths", "slots", "made",
                                              "host", "cores", "version"},
              "the file");
  core::Costs costs;
  read(object, "streaming_bytes", costs.streaming_bytes);
  read(object, "engine_range_ns", costs.engine_range_ns);
  read(object, "engine_bytes", costs.engine_bytes);
  if (const auto slots = object.find("slots"); slots != object.end())
    read_path("slots", *slots, costs.slots);
  const auto paths = object.find("paths");
  if (paths == object.end()) return costs;
  if (!paths->is_object()) refuse("\"paths\" is not an object");
  std::array<std::string_view, core::kPaths> names{};
  for (const core::Path path : core::kAllPaths)
    names[core::index_of(path)] = core::name_of(path);
  check_names(*paths, names, "\"paths\"");
  for (const core::Path path : core::kAllPaths)
    if (const auto found = paths->find(core::name_of(path)); found != paths->end())
      read_path(std::string(core::name_of(path)), *found,
                costs.paths[core::index_of(path)]);
  return costs;
}

core::Costs costs_of(const std::string& file) {
  if (file.empty()) return {};
  std::ifstream stream(file);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream || !text)
    refuse("cannot read " + file + "; make it with `nixl-connect doctor --calibrate`");
  try {
    return parse_costs(text.str());
  } catch (const Error& error) {
    throw Error(error.kind(), file + ": " + error.what() +
                                  "; make it anew with `nixl-connect doctor "
                                  "--calibrate`, or remove it");
  }
}

}  // namespace nixl_connect::runtime
