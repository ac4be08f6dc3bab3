// SPDX-License-Identifier: Apache-2.0
//
// Pages and strides as ranges, and ranges that overlap: arithmetic only.
#include <nanobind/nanobind.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "memory.h"

namespace nb = nanobind;

namespace nixl_connect::python {
namespace {

constexpr std::size_t kMaxRanges = 262'144;

void append(std::vector<Range>& ranges, std::uintptr_t address, std::size_t size) {
  if (!ranges.empty() && ranges.back().address + ranges.back().size == address) {
    ranges.back().size += size;
    return;
  }
  if (ranges.size() == kMaxRanges)
    refuse(
        "this array lies in more than 262,144 pieces, the last of " +
        std::to_string(size) +
        " bytes; transfer a part of it at a time, or a contiguous copy (of a target: "
        "into one, and copy that over)");
  ranges.push_back({address, size});
}

std::string text_of(std::int64_t number) { return std::to_string(number); }

[[noreturn]] void refuse_page(std::int64_t index, std::size_t count,
                              std::size_t page_bytes) {
  throw nb::index_error(("page " + text_of(index) + " is outside the " +
                         std::to_string(count) + " pages of " +
                         std::to_string(page_bytes) + " bytes")
                            .c_str());
}

// Whether all are pages of one size, side by side or a multiple of it apart, and each
// of them there once: a bit for each place, which takes no sorting. False: not known.
bool are_pages_apart(std::span<const Range> ranges) {
  constexpr std::size_t kMostPlaces = 64;  // for each range
  if (ranges.empty() || ranges[0].size == 0) return false;
  const std::size_t size = ranges[0].size;
  const auto [lowest, highest] = std::minmax_element(
      ranges.begin(), ranges.end(),
      [](const Range& a, const Range& b) { return a.address < b.address; });
  const std::size_t places = (highest->address - lowest->address) / size + 1;
  if (places > kMostPlaces * ranges.size()) return false;
  std::vector<std::uint64_t> taken(places / 64 + 1);
  for (const Range& range : ranges) {
    const std::size_t offset = range.address - lowest->address;
    const std::size_t place = offset / size;
    const std::uint64_t bit = std::uint64_t{1} << place % 64;
    if (range.size != size || place * size != offset || (taken[place / 64] & bit) != 0)
      return false;
    taken[place / 64] |= bit;
  }
  return true;
}

// Finds what lies at an offset in the bytes of several ranges.
class Finder {
 public:
  explicit Finder(std::span<const Range> whole) : whole_(whole) {
    starts_.reserve(whole.size());
    for (const Range& range : whole) {
      starts_.push_back(size_);
      size_ += range.size;
    }
  }

  std::size_t size() const noexcept { return size_; }

  // The pieces of those bytes, which are there.
  void append(std::size_t offset, std::size_t size, std::vector<Range>& pieces) const {
    const auto behind = std::upper_bound(starts_.begin(), starts_.end(), offset);
    auto index = static_cast<std::size_t>(behind - starts_.begin()) - 1;
    offset -= starts_[index];
    for (; size > 0; ++index, offset = 0) {
      const std::size_t taken = std::min(size, whole_[index].size - offset);
      if (taken > 0) pieces.push_back({whole_[index].address + offset, taken});
      size -= taken;
    }
  }

 private:
  const std::span<const Range> whole_;
  std::vector<std::size_t> starts_;
  std::size_t size_ = 0;
};

}  // namespace

bool are_whole(std::span<const Range> whole, std::size_t page_bytes) {
  return !whole.empty() &&
         std::all_of(whole.begin(), whole.end() - 1,
                     [&](const Range& range) { return range.size % page_bytes == 0; });
}

std::vector<std::uint64_t> page_numbers(std::span<const Range> whole,
                                        std::size_t page_bytes,
                                        std::span<const std::int64_t> indices) {
  if (indices.empty())
    refuse(
        "the indices name no page, so there is nothing to transfer; make no operation "
        "of them");
  std::size_t size = 0;
  for (const Range& range : whole) size += range.size;
  const std::size_t count = size / page_bytes;
  // A negative one is beyond all others.
  std::vector<std::uint64_t> numbers(indices.begin(), indices.end());
  const std::uint64_t last = *std::max_element(numbers.begin(), numbers.end());
  if (last < count) return numbers;
  const auto outside = std::find_if(numbers.begin(), numbers.end(),
                                    [&](std::uint64_t each) { return each >= count; });
  refuse_page(static_cast<std::int64_t>(*outside), count, page_bytes);
}

bool are_apart(std::span<const std::uint64_t> numbers, std::uint64_t count) {
  constexpr std::uint64_t kMostPlaces = 64;  // for each page
  if (count / kMostPlaces > numbers.size()) return false;
  std::vector<bool> taken(count);
  for (const std::uint64_t number : numbers) {
    if (taken[number]) return false;
    taken[number] = true;
  }
  return true;
}

std::vector<Range> page_ranges(std::span<const Range> whole, std::size_t page_bytes,
                               std::span<const std::int64_t> indices) {
  const Finder finder(whole);
  std::vector<Range> ranges;
  ranges.reserve(indices.size());
  for (const std::uint64_t index : page_numbers(whole, page_bytes, indices)) {
    const std::size_t offset = index * page_bytes;
    if (whole.size() == 1)
      ranges.push_back({whole[0].address + offset, page_bytes});
    else
      finder.append(offset, page_bytes, ranges);
  }
  return ranges;
}

std::optional<std::pair<std::size_t, std::size_t>> overlapping(
    std::span<const Range> ranges) {
  if (are_pages_apart(ranges)) return std::nullopt;
  struct Piece {
    Range range;
    std::size_t index;
  };
  std::vector<Piece> pieces;
  pieces.reserve(ranges.size());
  for (std::size_t i = 0; i < ranges.size(); ++i)
    if (ranges[i].size != 0) pieces.push_back({ranges[i], i});
  const auto is_lower = [](const Piece& a, const Piece& b) {
    return a.range.address < b.range.address;
  };
  if (!std::is_sorted(pieces.begin(), pieces.end(), is_lower))
    std::sort(pieces.begin(), pieces.end(), is_lower);
  const auto found = std::adjacent_find(
      pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
        return b.range.address - a.range.address < a.range.size;
      });
  if (found == pieces.end()) return std::nullopt;
  return std::minmax({found[0].index, found[1].index});
}

std::vector<Range> strided_ranges(std::uintptr_t address, std::size_t item_bytes,
                                  const std::vector<std::int64_t>& shape,
                                  const std::vector<std::int64_t>& strides) {
  if (shape.size() != strides.size()) refuse("shape and strides differ in length");
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return {{address, 0}};
  // The innermost axes that lie densely are one piece.
  std::size_t outer = shape.size();
  std::size_t piece = item_bytes;
  while (outer > 0 && (shape[outer - 1] == 1 ||
                       strides[outer - 1] == static_cast<std::int64_t>(piece))) {
    --outer;
    piece *= static_cast<std::size_t>(shape[outer]);
  }
  std::vector<Range> ranges;
  std::vector<std::int64_t> position(outer, 0);
  while (true) {
    append(ranges, address, piece);
    std::size_t axis = outer;
    while (axis > 0) {
      --axis;
      address += static_cast<std::uintptr_t>(strides[axis]);
      if (++position[axis] < shape[axis]) break;
      address -= static_cast<std::uintptr_t>(strides[axis] * shape[axis]);
      position[axis] = 0;
      if (axis == 0) return ranges;
    }
    if (outer == 0) return ranges;
  }
}

}  // namespace nixl_connect::python
