// SPDX-License-Identifier: Apache-2.0
//
// Something to copy between the host's memory and that of a GPU.
#pragma once

#include <algorithm>
#include <cstddef>
#include <random>
#include <vector>

#include "paths/cuda/copy_owner.h"
#include "paths/cuda/host_arena.h"
#include "paths/cuda/session.h"

namespace nixl_connect::paths::cuda::testing {

// Ranges of any size and alignment, in one order on the host and in another on the GPU.
class Mixed {
 public:
  Mixed(const Session& session, CopyWork::HostSide host_side, std::size_t count,
        std::size_t largest)
      : session_(session),
        arena_(count * (largest + 9)),
        map_(arena_.map()),
        gpu_(allocate(session.driver, arena_.size())) {
    work_.host_side = host_side;
    work_.host_maps.push_back(map_);
    const bool is_from_host = host_side == CopyWork::HostSide::kSources;
    const auto content = random_content(arena_.size(), 1);
    if (is_from_host) {
      std::copy(content.begin(), content.end(), arena_.data());
      session.fill(gpu_.get(), 0, arena_.size());
    } else {
      session.write(gpu_.get(), content);
    }
    expected_.resize(arena_.size());
    std::mt19937 random(1);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t from = i * (largest + 9) + random() % 8;
      const std::size_t to = (count - 1 - i) * (largest + 9) + random() % 8;
      const std::size_t size = largest - random() % std::min<std::size_t>(largest, 100);
      const auto host = reinterpret_cast<std::uintptr_t>(map_.memory->data());
      work_.ranges.push_back(is_from_host ? Page{host + from, gpu_.get() + to, size}
                                          : Page{gpu_.get() + from, host + to, size});
      std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(from), size,
                  expected_.begin() + static_cast<std::ptrdiff_t>(to));
    }
  }

  CopyWork work() const {
    return {.ranges = work_.ranges,
            .host_side = work_.host_side,
            .host_maps = work_.host_maps};
  }
  bool has_arrived() const {
    if (work_.host_side == CopyWork::HostSide::kSources)
      return session_.read(gpu_.get(), arena_.size()) == expected_;
    return std::equal(expected_.begin(), expected_.end(), arena_.data());
  }
  HostArena& arena() { return arena_; }

 private:
  const Session& session_;
  HostArena arena_;
  const HostMap map_;
  const DeviceMemory gpu_;
  CopyWork work_;
  std::vector<std::byte> expected_;
};

}  // namespace nixl_connect::paths::cuda::testing
