// SPDX-License-Identifier: Apache-2.0
//
// The ranges of a peer's memory that an operation names, and in what they lie, which
// thousands of them mostly have in common. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/kept_blocks.h"
#include "base/paged_memory.h"
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

  // From then on the ranges are those of the pages, which are in those that were
  // there, and are written out by the first who looks at them.
  void take_pages(base::PagedMemory pages) {
    whole_ = std::exchange(ranges_, {});
    paged_.emplace(std::move(pages));
  }
  // Null if they were not taken.
  const base::PagedMemory* paged() const noexcept {
    return paged_ ? &*paged_ : nullptr;
  }

  // What the metadata names: the ranges, or what pages are in.
  std::span<const RemoteRange> whole() const noexcept {
    return paged_ ? whole_ : ranges_;
  }

  const RemoteRange& operator[](std::size_t index) const { return all()[index]; }
  const RemoteRange& back() const { return all().back(); }
  bool empty() const noexcept { return size() == 0; }
  std::size_t size() const noexcept {
    return paged_ ? paged_->count() : ranges_.size();
  }
  auto begin() const { return all().begin(); }
  auto end() const { return all().end(); }

  // Of those that have bytes, the ones that do not lie in what the one before them did;
  // of pages, of what these are in.
  std::span<const RemoteRange> places() const noexcept { return places_; }

 private:
  using Ranges = base::KeptVector<RemoteRange>;

  const Ranges& all() const {
    if (paged_ && ranges_.empty()) write_out();
    return ranges_;
  }
  void write_out() const;

  mutable Ranges ranges_;
  std::vector<RemoteRange> places_;
  Ranges whole_;
  std::optional<base::PagedMemory> paged_;
};

}  // namespace nixl_connect::runtime
