// SPDX-License-Identifier: Apache-2.0
//
// The ranges of a peer's memory that an operation names, and in what they lie, which
// thousands of them mostly have in common. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/kept_blocks.h"
#include "wire/gpu_exports.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::runtime {

// A range of the peer's memory; what it points to belongs to the RemoteAgent.
struct RemoteRange {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  const wire::Region* region = nullptr;         // null for an empty range
  const wire::GpuExport* gpu_export = nullptr;  // in which it lies, if in any

  bool is_of_gpu() const noexcept {
    return region != nullptr && region->memory == wire::MemoryType::kVram;
  }
};

class RemoteRanges {
 public:
  void reserve(std::size_t count) { ranges_.reserve(count); }

  void push_back(const RemoteRange& range) {
    ranges_.push_back(range);
    if (range.size == 0) return;
    if (!places_.empty() && places_.back().region == range.region &&
        places_.back().gpu_export == range.gpu_export)
      return;
    places_.push_back(range);
  }

  const RemoteRange& operator[](std::size_t index) const { return ranges_[index]; }
  const RemoteRange& back() const { return ranges_.back(); }
  bool empty() const noexcept { return ranges_.empty(); }
  std::size_t size() const noexcept { return ranges_.size(); }
  auto begin() const noexcept { return ranges_.begin(); }
  auto end() const noexcept { return ranges_.end(); }

  // Of those that have bytes, the ones that do not lie in what the one before them did.
  std::span<const RemoteRange> places() const noexcept { return places_; }

 private:
  base::KeptVector<RemoteRange> ranges_;
  std::vector<RemoteRange> places_;
};

}  // namespace nixl_connect::runtime
