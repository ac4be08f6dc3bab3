// SPDX-License-Identifier: Apache-2.0
//
// What the paths cost on a machine. Plain data, and the prediction made of it. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/paths.h"
#include "core/terms.h"

namespace nixl_connect::core {

// What one thread takes at a time, at most: with less, nobody else helps.
constexpr std::uint64_t kPieceBytes = 512 << 10;
constexpr std::size_t kPieceRanges = 128;

struct PathCosts {
  double start_ns = 0;         // of every transfer, however small
  double range_ns = 0;         // of each range, for one thread
  double gbps_one_thread = 1;  // GB a second
  double gbps_most = 1;        // with as many threads as help

  bool operator==(const PathCosts&) const = default;
};

struct Costs {
  std::array<PathCosts, kPaths> paths{PathCosts{400, 30, 10, 60},       // local
                                      PathCosts{1'000, 50, 10, 60},     // host.map
                                      PathCosts{2'500, 1'500, 6, 40},   // host.cma
                                      PathCosts{10'000, 20, 300, 300},  // cuda.peer
                                      PathCosts{10'000, 50, 55, 55},    // cuda.staged
                                      PathCosts{4'000, 3'000, 4.5, 4.5}};

  // cuda.staged where the host's memory is not pinned, so that threads carry the bytes.
  PathCosts slots{15'000, 1'500, 3.5, 22};

  // Of each range, where a GPU's copy engines take all of them.
  double engine_range_ns = 3'000;

  // Between GPUs, ranges of so many bytes go by copy engines whatever else there is.
  std::uint64_t engine_bytes = 4 << 20;

  // Copies through maps of so many bytes go around the caches.
  std::uint64_t streaming_bytes = 32 << 20;

  const PathCosts& of(Path path) const { return paths[index_of(path)]; }
  bool operator==(const Costs&) const = default;
};

// What is to be moved.
struct Work {
  std::uint64_t bytes = 0;
  std::size_t ranges = 0;
  unsigned threads = 1;  // that may copy at the same time
};

struct Prediction {
  Time time{};
  double gbps = 0;  // without the start
};

Prediction predict(const Work& work, const PathCosts& costs);

}  // namespace nixl_connect::core
