// SPDX-License-Identifier: Apache-2.0
//
// The paths by which bytes can go, as the planner knows them, and sets of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nixl_connect::core {

enum class Path : std::uint8_t {
  kLocal,
  kHostMap,
  kHostCma,
  kCudaPeer,
  kCudaStaged,
  kUcx
};

constexpr std::size_t kPaths = 6;
constexpr std::array<Path, kPaths> kAllPaths{Path::kLocal,      Path::kHostMap,
                                             Path::kHostCma,    Path::kCudaPeer,
                                             Path::kCudaStaged, Path::kUcx};

constexpr std::size_t index_of(Path path) { return static_cast<std::size_t>(path); }

// As users read and write it.
constexpr std::string_view name_of(Path path) {
  constexpr std::array<std::string_view, kPaths> kNames{
      "local", "host.map", "host.cma", "cuda.peer", "cuda.staged", "ucx"};
  return kNames[index_of(path)];
}

class PathSet {
 public:
  constexpr PathSet() = default;

  constexpr void add(Path path) { bits_ |= bit(path); }
  constexpr void add(PathSet others) { bits_ |= others.bits_; }
  constexpr bool has(Path path) const { return (bits_ & bit(path)) != 0; }
  constexpr bool is_empty() const { return bits_ == 0; }

  bool operator==(const PathSet&) const = default;

 private:
  static constexpr unsigned bit(Path path) { return 1U << index_of(path); }
  unsigned bits_ = 0;
};

}  // namespace nixl_connect::core
