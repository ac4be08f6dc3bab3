// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/paged_ranges.h"

namespace nixl_connect::paths::cuda {

KeptPages written_out(const PagedPair& pages) {
  base::PagedMemory::Finder source(pages.sources);
  base::PagedMemory::Finder target(pages.targets);
  const std::uint64_t size = pages.sources.page_bytes();
  KeptPages ranges;
  ranges.reserve(pages.sources.count());
  for (std::size_t page = 0; page < pages.sources.count(); ++page)
    ranges.push_back({source(page), target(page), size});
  return ranges;
}

}  // namespace nixl_connect::paths::cuda
