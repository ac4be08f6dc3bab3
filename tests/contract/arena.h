// SPDX-License-Identifier: Apache-2.0
//
// Memory of one side: ranges that take part in an operation, and guard bytes everywhere
// else. Filled ranges hold, in their order, one stream of bytes in which each tells its
// place, so that the two sides may lay theirs out as they like. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "contract/gpu_memory.h"
#include "contract/path.h"
#include "nixl_connect/descriptor.h"

namespace nixl_connect::contract {

// From a page boundary on.
struct Range {
  std::size_t offset = 0;
  std::size_t size = 0;
};
using Ranges = std::vector<Range>;  // none overlaps another

Ranges one(std::size_t size, std::size_t offset = 0);

// Ranges of that size, side by side but for a small gap; a size of 0 means one().
Ranges in_pieces(std::size_t size, std::size_t size_of_each);

using Random = std::mt19937_64;

// In shuffled places, at most `largest_gap` bytes apart.
Ranges shuffled(const std::vector<std::size_t>& sizes, std::size_t largest_gap,
                Random& random);

class Arena {
 public:
  // To be filled or cleared.
  Arena(MemoryKind kind, Ranges ranges);

  // One for each range; all have the same owner.
  std::vector<Descriptor> descriptors() const;

  // Of all ranges.
  std::uint64_t size() const;

  void fill(std::uint32_t seed) const;
  void clear() const;

  // Says where the first byte is that differs from what fill(seed), or clear(), leaves
  // behind; empty if none does.
  std::string differs_from_filled(std::uint32_t seed) const;
  std::string differs_from_cleared() const;

  // Of memory of the host. Leaves nothing at the ranges' addresses, as an owner that
  // breaks its promise.
  void unmap() const;
  // The same for writing only.
  void protect() const;

 private:
  // All bytes where the processor can touch them, which `copy` is for memory of a GPU.
  std::span<const std::byte> content(std::vector<std::byte>& copy) const;
  // What of them lies around the ranges.
  template <typename Byte>
  std::vector<std::span<Byte>> gaps(std::span<Byte> bytes) const;

  Ranges ranges_;
  std::span<std::byte> bytes_;
  std::shared_ptr<const GpuMemory> gpu_;  // none: the memory is the host's
  std::shared_ptr<const void> owner_;
};

}  // namespace nixl_connect::contract
