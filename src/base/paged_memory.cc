// SPDX-License-Identifier: Apache-2.0
#include "base/paged_memory.h"

#include <algorithm>

namespace nixl_connect::base {

PagedMemory::Finder::Finder(const PagedMemory& memory)
    : pieces_(memory.pieces_),
      indices_(memory.indices_->data()),
      page_bytes_(memory.page_bytes_) {
  firsts_.reserve(pieces_.size());
  std::uint64_t first = 0;
  for (const Piece& piece : pieces_) {
    firsts_.push_back(first);
    first += piece.size / page_bytes_;
  }
}

// Empty pieces begin where the next one does, which is found.
void PagedMemory::Finder::find(std::uint64_t index) {
  const auto behind = std::upper_bound(firsts_.begin(), firsts_.end(), index);
  piece_ = static_cast<std::size_t>(behind - firsts_.begin()) - 1;
  address_ = pieces_[piece_].address;
  first_ = firsts_[piece_];
  count_ = pieces_[piece_].size / page_bytes_;
}

}  // namespace nixl_connect::base
