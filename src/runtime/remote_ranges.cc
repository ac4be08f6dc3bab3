// SPDX-License-Identifier: Apache-2.0
#include "runtime/remote_ranges.h"

namespace nixl_connect::runtime {

void RemoteRanges::write_out() const {
  ranges_.reserve(paged_->count());
  base::PagedMemory::Finder find(*paged_);
  for (std::size_t page = 0; page < paged_->count(); ++page) {
    const std::uint64_t address = find(page);
    const RemoteRange& whole = whole_[find.piece()];
    ranges_.push_back({address, paged_->page_bytes(), whole.region, whole.gpu_export});
  }
}

}  // namespace nixl_connect::runtime
