// SPDX-License-Identifier: Apache-2.0
//
// Pages on both sides of a copy by their numbers: the page kernel takes these as they
// are, and for all else they are written out when everything else is known. Values; any
// thread.
#pragma once

#include "base/paged_memory.h"
#include "paths/cuda/page_shares.h"

namespace nixl_connect::paths::cuda {

// As many pages of one size.
struct PagedPair {
  base::PagedMemory sources;
  base::PagedMemory targets;

  std::size_t count() const noexcept { return sources.count(); }
  std::uint64_t page_bytes() const noexcept { return sources.page_bytes(); }
  std::uint64_t size() const noexcept { return sources.size(); }
};

KeptPages written_out(const PagedPair& pages);

// Whether the page kernel takes them as they are: on each side the pieces have as many
// pages, and not too many altogether.
bool are_for_numbers(const PagedPair& pages);
constexpr std::size_t kMostPieces = 1024;

// Of so many of them, as if they were written out.
PageSums sum_up(const PagedPair& pages, std::size_t count);

}  // namespace nixl_connect::paths::cuda
