// SPDX-License-Identifier: Apache-2.0
#include "paths/host/own_mappings.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

namespace nixl_connect::paths::host {
namespace {

// Takes a hexadecimal number and the character behind it off the text.
std::optional<std::uintptr_t> take_number(std::string_view& text, char separator) {
  std::uintptr_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, 16);
  if (error != std::errc() || stop == end || *stop != separator) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()) + 1);
  return number;
}

std::optional<Extent> take_extent(std::string_view& line) {
  const auto begin = take_number(line, '-');
  if (!begin) return std::nullopt;
  const auto end = take_number(line, ' ');
  if (!end) return std::nullopt;
  return Extent{*begin, *end};
}

}  // namespace

// "7f0000000000-7f0000200000 rw-p 00000000 00:00 0", and a name, as a rule behind
// spaces: offset, device and inode are those of a file.
std::optional<Extent> anonymous_mapping(std::string_view line) {
  constexpr std::size_t kPermissions = 4;
  constexpr std::string_view kNoFile = "p 00000000 00:00 0";
  const auto extent = take_extent(line);
  if (!extent || line.size() < kPermissions || !line.starts_with("rw"))
    return std::nullopt;
  line.remove_prefix(kPermissions - 1);
  if (!line.starts_with(kNoFile)) return std::nullopt;
  line.remove_prefix(kNoFile.size());
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const bool is_plain =
      line.empty() || line.starts_with("[heap]") || line.starts_with("[anon:");
  return is_plain ? extent : std::nullopt;
}

std::vector<Extent> anonymous_parts(Extent extent) {
  std::vector<Extent> parts;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::string_view rest = line;
    const auto mapping = take_extent(rest);
    if (!mapping || mapping->end <= extent.begin) continue;
    if (mapping->begin >= extent.end) break;  // they come in order
    if (anonymous_mapping(line))
      parts.push_back(
          {std::max(mapping->begin, extent.begin), std::min(mapping->end, extent.end)});
  }
  return parts;
}

}  // namespace nixl_connect::paths::host
