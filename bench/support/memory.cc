// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "support/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>

namespace nixl_connect::bench {

std::shared_ptr<std::byte> make_memory(std::size_t size) {
  constexpr std::size_t kHugePage = 2 << 20;
  const std::size_t whole_pages = (size + kHugePage - 1) / kHugePage * kHugePage;
  void* const address = std::aligned_alloc(kHugePage, whole_pages);
  if (address == nullptr) throw std::bad_alloc();
  ::madvise(address, whole_pages, MADV_HUGEPAGE);
  std::memset(address, 1, size);
  return {static_cast<std::byte*>(address),
          [](std::byte* memory) { std::free(memory); }};
}

Pieces make_pieces(std::size_t count, std::size_t size, Registration registration) {
  const std::size_t stride = count == 1 ? size : 2 * size;
  Pieces pieces{make_memory(count * stride), {}};
  const Descriptor whole(pieces.memory.get(), count * stride, {}, pieces.memory);
  for (std::size_t i = 0; i < count; ++i) {
    pieces.descriptors.push_back(
        registration == Registration::kTogether
            ? whole.slice(i * stride, size)
            : Descriptor(pieces.memory.get() + i * stride, size));
  }
  std::shuffle(pieces.descriptors.begin(), pieces.descriptors.end(),
               std::mt19937(count));
  return pieces;
}

}  // namespace nixl_connect::bench
