// SPDX-License-Identifier: Apache-2.0
#include "runtime/costs_file.h"

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

// Sets `value` if the object names it.
template <typename Number>
void read(const json& object, const char* name, Number& value) {
  const auto found = object.find(name);
  if (found == object.end()) return;
  if (!found->is_number() || found->template get<double>() <= 0)
    refuse(std::string(name) + " is not a number above 0");
  value = found->template get<Number>();
}

void read_path(const json& object, core::PathCosts& costs) {
  if (!object.is_object()) refuse("a path is not an object");
  read(object, "start_ns", costs.start_ns);
  read(object, "range_ns", costs.range_ns);
  read(object, "gbps_one_thread", costs.gbps_one_thread);
  read(object, "gbps_most", costs.gbps_most);
}

}  // namespace

core::Costs parse_costs(std::string_view text) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) refuse("not a JSON object");
  core::Costs costs;
  read(object, "streaming_bytes", costs.streaming_bytes);
  const auto paths = object.find("paths");
  if (paths == object.end()) return costs;
  if (!paths->is_object()) refuse("\"paths\" is not an object");
  for (const core::Path path : core::kAllPaths)
    if (const auto found = paths->find(core::name_of(path)); found != paths->end())
      read_path(*found, costs.paths[core::index_of(path)]);
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
