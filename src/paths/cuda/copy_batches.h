// SPDX-License-Identifier: Apache-2.0
//
// By what the ranges of a copy go, and how they are cut into batches: small enough that
// a copy can be stopped, and another one overtake it, within milliseconds. Values; one
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "paths/cuda/engine_sizes.h"
#include "paths/cuda/page_shares.h"
#include "paths/cuda/paged_ranges.h"

namespace nixl_connect::paths::cuda {

// What a batch takes at most: the bytes that a GPU could copy over NVLink in that time,
// 0.7 ms. Between two batches a stream stands still for some 10 us.
constexpr std::uint64_t kBatchWeight = 256 << 20;

// To and from the host, over PCIe, bytes take so many times longer.
constexpr std::uint64_t kHostSlowness = 7;

// So few ranges that are no engine's by their size go by one all the same: a kernel
// takes 12 us whatever it does, an engine 5 us and 3 us for each further range.
constexpr std::size_t kFewRanges = 3;

// Whether some of the ranges should go by the kernel.
bool are_for_kernel(std::span<const Page> ranges,
                    std::uint64_t least_engine_bytes = kLeastEngineBytes);

struct CopyBatch {
  bool is_for_kernel = false;
  std::span<const Page> ranges;
  // Of pages that are not written out, instead of `ranges`.
  std::size_t first_page = 0;
  std::size_t page_count = 0;
  std::uint64_t bytes = 0;
  std::uint64_t weight = 0;
};

class CopyBatches {
 public:
  CopyBatches() = default;
  // `max_blocks` of the kernel; 0: there is none to use.
  CopyBatches(KeptPages ranges, std::uint32_t max_blocks,
              std::uint64_t least_engine_bytes = kLeastEngineBytes,
              std::uint64_t slowness = 1);

  // All by the kernel, to which they are given by their numbers.
  CopyBatches(PagedPair pages, std::uint32_t max_blocks);

  bool is_empty() const noexcept {
    return next_ == (pages_ ? pages_->count() : ranges_.size());
  }
  // Null: they are written out.
  const PagedPair* pages() const noexcept { return pages_ ? &*pages_ : nullptr; }
  std::uint64_t bytes_left() const noexcept { return bytes_left_; }

  // If there is one; valid until the next call.
  const CopyBatch& next();

 private:
  void take_for_engine();
  void take_for_kernel() noexcept;
  void take_pages() noexcept;
  std::uint64_t most_for_kernel() const noexcept;
  std::uint64_t kernel_weight(std::uint64_t cost) const noexcept;

  std::optional<PagedPair> pages_;
  KeptPages ranges_;  // first those that go by a copy engine
  std::size_t for_engine_ = 0;
  std::uint32_t max_blocks_ = 0;
  std::uint64_t slowness_ = 1;
  std::uint64_t bytes_left_ = 0;
  std::size_t next_ = 0;      // in ranges_
  std::uint64_t offset_ = 0;  // in that range
  CopyBatch batch_;
  std::vector<Page> parts_;  // of it, for an engine
};

}  // namespace nixl_connect::paths::cuda
