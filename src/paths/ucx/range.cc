// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/range.h"

#include <algorithm>

namespace nixl_connect::paths::ucx {
namespace {

bool continues(const Range& range, const Range& next) noexcept {
  return range.local + range.size == next.local &&
         range.remote + range.size == next.remote &&
         range.registration == next.registration && range.key == next.key;
}

std::vector<Range> merge(std::vector<Range> ranges) {
  std::size_t kept = 0;
  for (const Range& range : ranges) {
    if (range.size == 0) continue;
    if (kept > 0 && continues(ranges[kept - 1], range))
      ranges[kept - 1].size += range.size;
    else
      ranges[kept++] = range;
  }
  ranges.resize(kept);
  return ranges;
}

}  // namespace

Pieces::Pieces(std::vector<Range> ranges, std::uint64_t limit)
    : ranges_(merge(std::move(ranges))), limit_(limit) {
  for (const Range& range : ranges_) {
    count_ += (range.size + limit_ - 1) / limit_;
    bytes_ += range.size;
    largest_ = std::max(largest_, std::min(range.size, limit_));
  }
}

Range Pieces::take() noexcept {
  Range piece = ranges_[next_];
  piece.local += offset_;
  piece.remote += offset_;
  piece.size = std::min(piece.size - offset_, limit_);
  offset_ += piece.size;
  if (offset_ == ranges_[next_].size) {
    offset_ = 0;
    ++next_;
  }
  return piece;
}

}  // namespace nixl_connect::paths::ucx
