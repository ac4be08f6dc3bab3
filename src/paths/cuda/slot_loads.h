// SPDX-License-Identifier: Apache-2.0
//
// How a piece of a copy is cut into what one slot holds at a time. Values; one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "paths/cuda/page_copy_arguments.h"
#include "paths/cuda/staging_lane.h"
#include "paths/host/copy.h"

namespace nixl_connect::paths::cuda {

// Each range twice: between the slot (local) and the host, and between slot and GPU.
struct SlotLoad {
  std::array<host::Range, host::Copy::kPieceRanges> host_ranges;
  std::array<Page, host::Copy::kPieceRanges> gpu_ranges;
  std::size_t count = 0;
  std::uint64_t bytes = 0;

  std::span<const host::Range> on_host() const noexcept {
    return {host_ranges.data(), count};
  }
  std::span<const Page> on_gpu() const noexcept { return {gpu_ranges.data(), count}; }
};

class SlotLoads {
 public:
  // As StagedWork has it; slots hold `slot_bytes`.
  SlotLoads(std::span<const host::Range> piece, bool is_gpu_local,
            StagingLane::Direction direction, std::size_t slot_bytes);

  // The next for a slot at that address, which is on a page; false: there is none left.
  bool next(std::uintptr_t slot, SlotLoad& load);

 private:
  const std::span<const host::Range> piece_;
  const bool is_gpu_local_;
  const StagingLane::Direction direction_;
  const std::size_t slot_bytes_;
  const std::uint64_t load_bytes_;  // at most
  std::size_t next_ = 0;            // in piece_
  std::uint64_t offset_ = 0;        // in that range
};

}  // namespace nixl_connect::paths::cuda
