// SPDX-License-Identifier: Apache-2.0
//
// Memory to move: touched, and on huge pages where the system grants them, as
// ucx_perftest has it, so that all columns of a comparison copy alike.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "nixl_connect/descriptor.h"

namespace nixl_connect::bench {

std::shared_ptr<std::byte> make_memory(std::size_t size);

// The exception: never touched, so that its pages come while it is written. On huge
// pages only if `advises_huge_pages` and the system grants them.
std::shared_ptr<std::byte> make_fresh_memory(std::size_t size, bool advises_huge_pages);

enum class Registration {
  kTogether,  // the pieces are slices of one piece of memory, registered once
  kApart,     // each piece is registered by itself, by each operation
  kMapped,    // as the first, in memory of Connector::allocate()
};

// Pieces of memory and what keeps them.
struct Pieces {
  std::shared_ptr<const void> memory;
  std::vector<Descriptor> descriptors;
};

// Where `count` pieces of `size` bytes lie in memory of spread_of() bytes: with gaps
// between them, in shuffled order, always the same one.
std::vector<std::size_t> offsets_of_pieces(std::size_t count, std::size_t size);
std::size_t spread_of(std::size_t count, std::size_t size);

Pieces make_pieces(std::size_t count, std::size_t size, Registration registration);

}  // namespace nixl_connect::bench
