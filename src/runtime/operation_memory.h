// SPDX-License-Identifier: Apache-2.0
//
// The memory of one operation, without what thousands of descriptors mostly have in
// common: to copy and drop a shared pointer takes longer than all else about a range.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/kept_blocks.h"
#include "base/paged_memory.h"
#include "nixl_connect/descriptor.h"
#include "nixl_connect/pages.h"

namespace nixl_connect::runtime {

class LocalRange {
 public:
  LocalRange(std::uintptr_t address, std::size_t size) noexcept
      : address_(address), size_(size) {}

  std::uintptr_t ptr() const noexcept { return address_; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::uintptr_t address_;
  std::size_t size_;
};

// Constant once made.
class OperationMemory {
 public:
  explicit OperationMemory(std::span<const Descriptor> descriptors);
  explicit OperationMemory(const Pages& pages);
  OperationMemory(const OperationMemory&) = delete;
  OperationMemory& operator=(const OperationMemory&) = delete;

  // One for each descriptor or page. Those of pages are written out by the first call,
  // for who cannot do without. Any thread.
  std::span<const LocalRange> ranges() const;
  std::size_t count() const noexcept {
    return paged_ ? paged_->count() : ranges_.size();
  }
  // Of those that have bytes.
  std::size_t count_with_bytes() const noexcept { return count_with_bytes_; }
  // Null: they are descriptors.
  const base::PagedMemory* paged() const noexcept {
    return paged_ ? &*paged_ : nullptr;
  }
  // All bytes of them.
  std::uint64_t size() const noexcept { return size_; }
  // Of all that have bytes, as for the kind, and the id of a GPU.
  const Device& device() const noexcept { return device_; }

  // What is registered: what pages are in, and otherwise what was given. Any thread.
  std::span<const Descriptor> whole() const {
    return pages_ ? pages_->memory() : descriptors();
  }
  // Those that were given, or of each page. Made by the first call. Any thread.
  const std::vector<Descriptor>& descriptors() const;

 private:
  // What that range has, and those behind it up to the next ones.
  struct Common {
    std::size_t from;
    Device device;
    bool is_read_only;
    std::shared_ptr<const void> owner;

    bool is_of(const Descriptor& descriptor) const noexcept;
  };

  void make_ranges() const;
  void make_descriptors() const;

  std::optional<Pages> pages_;
  std::optional<base::PagedMemory> paged_;  // the same
  mutable std::once_flag are_ranges_made_;
  mutable base::KeptVector<LocalRange> ranges_;
  std::vector<Common> common_;  // of what is no pages
  std::uint64_t size_ = 0;
  std::size_t count_with_bytes_ = 0;
  Device device_;

  mutable std::once_flag are_descriptors_made_;
  mutable std::vector<Descriptor> descriptors_;
};

}  // namespace nixl_connect::runtime
