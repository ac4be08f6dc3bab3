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

constexpr std::size_t kMaxRanges = 65'536;

void append(std::vector<Range>& ranges, std::uintptr_t address, std::size_t size) {
  if (!ranges.empty() && ranges.back().address + ranges.back().size == address) {
    ranges.back().size += size;
    return;
  }
  if (ranges.size() == kMaxRanges)
    refuse(
        "this array lies in more than 65,536 pieces; make it contiguous first, or "
        "transfer it in parts");
  ranges.push_back({address, size});
}

// An axis of length 1 has a stride without meaning.
bool overlaps(const std::vector<std::int64_t>& shape,
              const std::vector<std::int64_t>& strides, std::size_t item_bytes) {
  std::vector<std::pair<std::int64_t, std::int64_t>> axes;  // stride, length
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (shape[i] > 1) axes.emplace_back(std::abs(strides[i]), shape[i]);
  std::sort(axes.begin(), axes.end());
  std::int64_t extent = static_cast<std::int64_t>(item_bytes);
  for (const auto& [stride, length] : axes) {
    if (stride < extent) return true;
    extent = stride * (length - 1) + extent;
  }
  return false;
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

}  // namespace

std::vector<Range> page_ranges(const Range& whole, std::size_t page_bytes,
                               std::span<const std::int64_t> indices) {
  const std::size_t count = whole.size / page_bytes;
  std::vector<Range> ranges;
  ranges.reserve(indices.size());
  for (const std::int64_t index : indices) {
    if (index < 0 || static_cast<std::size_t>(index) >= count)
      throw nb::index_error(("page " + std::to_string(index) + " is outside the " +
                             std::to_string(count) + " pages of " +
                             std::to_string(page_bytes) + " bytes")
                                .c_str());
    ranges.push_back(
        {whole.address + static_cast<std::size_t>(index) * page_bytes, page_bytes});
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
  if (overlaps(shape, strides, item_bytes))
    refuse("this array's elements overlap (it is broadcast); make it contiguous first");
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
