// SPDX-License-Identifier: Apache-2.0
//
// What a Python Descriptor stands for: one or many ranges of one device, the object
// that keeps them alive, and the owner that their registration belongs to. Immutable
// values; made, copied and looked at with the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "nixl_connect/descriptor.h"
#include "nixl_connect/pages.h"

namespace nixl_connect::python {

// One control block for each Python object that owns memory. It keeps nothing alive:
// the registration is to end with the Python object, not the other way round.
struct Owner {
  std::shared_ptr<const void> token = std::make_shared<char>();
};

struct Range {
  std::uintptr_t address = 0;
  std::size_t size = 0;  // bytes
};

class Memory {
 public:
  Memory(nanobind::object pin, const Owner* owner, std::vector<Range> ranges,
         Device device, bool is_read_only);

  // Those of pages are made by the first call.
  const std::vector<Range>& ranges() const;
  // Set if all ranges are pages that the library takes by their numbers.
  const std::optional<Pages>& pages() const noexcept { return pages_; }
  std::size_t range_count() const noexcept {
    return pages_ ? pages_->indices().count() : ranges_.size();
  }
  // Of the first byte; 0 if there is none.
  std::uintptr_t address() const;
  // Bytes that are named twice, by the indices of two ranges; none if there are none.
  std::optional<std::pair<std::size_t, std::size_t>> overlap() const;
  // Bytes of all ranges.
  std::size_t size() const noexcept { return size_; }
  const Device& device() const noexcept { return device_; }
  bool is_read_only() const noexcept { return is_read_only_; }
  const nanobind::object& pin() const noexcept { return pin_; }
  void drop_pin() { pin_.reset(); }

  // The bytes [offset, offset + size) of all ranges in their order.
  Memory slice(std::size_t offset, std::size_t size) const;

  // Page k is `page_bytes` bytes at indices[k] * page_bytes, of all ranges in their
  // order.
  Memory pages(std::size_t page_bytes, std::span<const std::int64_t> indices) const;

  // The library's descriptor of one of the ranges, or of a part of it.
  Descriptor descriptor(const Range& range) const;

 private:
  nanobind::object pin_;
  std::shared_ptr<const void> owner_;
  mutable std::vector<Range> ranges_;
  std::optional<Pages> pages_;
  std::size_t size_ = 0;
  Device device_;
  bool is_read_only_ = false;
};

// The memory of one operation as Python passes it, a Memory or a list of them: pointers
// that live as long as `object` does. Throws TypeError for anything else.
std::vector<const Memory*> memories_of(nanobind::handle object);

// The library's descriptors of all their ranges, in their order.
std::vector<Descriptor> descriptors_of(std::span<const Memory* const> memories);

// Throws ValueError.
[[noreturn]] void refuse(const std::string& text);

// If there are more pieces of memory than these and than pages, most of them have no
// page, and pages are not taken by their numbers, for which all would be looked at.
constexpr std::size_t kMostPieces = 64;

// Whether the pages of `whole` need no more than their numbers: no page lies in several
// ranges.
bool are_whole(std::span<const Range> whole, std::size_t page_bytes);

// Throws as page_ranges(). The same numbers, none of which is negative.
std::vector<std::uint64_t> page_numbers(std::span<const Range> whole,
                                        std::size_t page_bytes,
                                        std::span<const std::int64_t> indices);

// Whether each of `count` pages is there at most once. False: not known.
bool are_apart(std::span<const std::uint64_t> numbers, std::uint64_t count);

// The pages, of one byte or more, of the bytes of `whole` in their order; one that lies
// in several ranges is several. Throws ValueError for no page at all, IndexError for
// one that reaches outside.
std::vector<Range> page_ranges(std::span<const Range> whole, std::size_t page_bytes,
                               std::span<const std::int64_t> indices);

// The indices of two ranges that share bytes, the lower one first; none if none do.
std::optional<std::pair<std::size_t, std::size_t>> overlapping(
    std::span<const Range> ranges);

// The ranges of an array in the order of its elements: as few and as long as its
// strides allow. Shape in elements, strides in bytes. Elements may overlap. Throws
// ValueError for more than 262,144 ranges.
std::vector<Range> strided_ranges(std::uintptr_t address, std::size_t item_bytes,
                                  const std::vector<std::int64_t>& shape,
                                  const std::vector<std::int64_t>& strides);

}  // namespace nixl_connect::python
