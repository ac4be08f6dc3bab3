// SPDX-License-Identifier: Apache-2.0
#include "base/kept_blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <mutex>
#include <new>

namespace nixl_connect::base {
namespace {

// Of each power of two 32 blocks, or as many as are 4 MiB: 19 MiB at most, for some
// operations under way at a time. None where AddressSanitizer is to see that nobody
// uses them any more.
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kMostBlocks = 0;
#else
constexpr std::size_t kMostBlocks = 32;
#endif
constexpr std::size_t kMostBytes = 4 << 20;  // of one size
constexpr std::size_t kSizes =
    std::bit_width(kMostKeptBytes) - std::bit_width(kLeastKeptBytes) + 1;

constexpr std::size_t most_of(std::size_t index) {
  return std::min(kMostBlocks, kMostBytes / (kLeastKeptBytes << index));
}

struct Kept {
  // Nobody waits for it: in a child made by fork() it may stay locked.
  std::mutex mutex;
  // Guarded by mutex.
  std::array<std::array<void*, kMostBlocks>, kSizes> blocks{};
  std::array<std::size_t, kSizes> counts{};
};

// Alive until the process ends, as a Connector may go very late.
Kept& kept() {
  static Kept& instance = *new Kept;
  return instance;
}

std::size_t rounded(std::size_t bytes) noexcept { return std::bit_ceil(bytes); }

std::size_t index_of(std::size_t bytes) noexcept {
  return static_cast<std::size_t>(std::bit_width(rounded(bytes)) -
                                  std::bit_width(kLeastKeptBytes));
}

}  // namespace

void* take_block(std::size_t bytes) {
  const std::size_t index = index_of(bytes);
  {
    const std::unique_lock lock(kept().mutex, std::try_to_lock);
    std::size_t& count = kept().counts[index];
    if (lock.owns_lock() && count > 0) return kept().blocks[index][--count];
  }
  return ::operator new(rounded(bytes));
}

void keep_block(void* block, std::size_t bytes) noexcept {
  const std::size_t index = index_of(bytes);
  {
    const std::unique_lock lock(kept().mutex, std::try_to_lock);
    std::size_t& count = kept().counts[index];
    if (lock.owns_lock() && count < most_of(index)) {
      kept().blocks[index][count++] = block;
      return;
    }
  }
  ::operator delete(block);
}

}  // namespace nixl_connect::base
