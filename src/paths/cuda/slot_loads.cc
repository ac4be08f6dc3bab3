// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/slot_loads.h"

#include <algorithm>

#include "paths/cuda/page_shares.h"

namespace nixl_connect::paths::cuda {
namespace {

// Less would cost more by its calls than the GPU gains by beginning earlier.
constexpr std::uint64_t kLeastLoad = 128 << 10;
constexpr std::uint64_t kLoadsOfPiece = 4;

std::uint64_t load_bytes(std::span<const host::Range> piece, std::size_t slot_bytes) {
  std::uint64_t bytes = 0;
  for (const host::Range& range : piece) bytes += range.size;
  // What ranges of the largest number may lose to lines.
  const std::uint64_t lost = kLine * (host::Copy::kPieceRanges + 1);
  const std::uint64_t most = slot_bytes > 2 * lost ? slot_bytes - lost : slot_bytes / 2;
  return std::min(std::max(bytes / kLoadsOfPiece, kLeastLoad), most);
}

}  // namespace

SlotLoads::SlotLoads(std::span<const host::Range> piece, bool is_gpu_local,
                     StagingLane::Direction direction, std::size_t slot_bytes)
    : piece_(piece),
      is_gpu_local_(is_gpu_local),
      direction_(direction),
      slot_bytes_(slot_bytes),
      load_bytes_(load_bytes(piece, slot_bytes)) {}

bool SlotLoads::next(std::uintptr_t slot, SlotLoad& load) {
  load.count = 0;
  load.bytes = 0;
  std::uint64_t at = 0;
  while (next_ < piece_.size() && load.bytes < load_bytes_) {
    const host::Range& range = piece_[next_];
    const std::uint64_t gpu = (is_gpu_local_ ? range.local : range.remote) + offset_;
    const std::uint64_t host = (is_gpu_local_ ? range.remote : range.local) + offset_;
    at = place_in_slot(at, gpu);
    if (at >= slot_bytes_) break;
    const std::uint64_t size =
        std::min({range.size - offset_, load_bytes_ - load.bytes, slot_bytes_ - at});
    load.host_ranges[load.count] = {slot + at, host, size};
    load.gpu_ranges[load.count] = direction_ == StagingLane::Direction::kToGpu
                                      ? Page{slot + at, gpu, size}
                                      : Page{gpu, slot + at, size};
    ++load.count;
    load.bytes += size;
    at += size;
    offset_ += size;
    if (offset_ < range.size) continue;
    ++next_;
    offset_ = 0;
  }
  return load.count > 0;
}

}  // namespace nixl_connect::paths::cuda
