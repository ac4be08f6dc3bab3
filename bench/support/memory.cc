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

#include "nixl_connect/connector.h"

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

std::shared_ptr<std::byte> make_fresh_memory(std::size_t size,
                                             bool advises_huge_pages) {
  void* const address =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) throw std::bad_alloc();
  if (advises_huge_pages) ::madvise(address, size, MADV_HUGEPAGE);
  return {static_cast<std::byte*>(address),
          [size](std::byte* memory) { ::munmap(memory, size); }};
}

namespace {

Descriptor make_plain_memory(std::size_t size) {
  const auto memory = make_memory(size);
  return {memory.get(), size, {}, memory};
}

Descriptor make_mapped_memory(std::size_t size) {
  const Allocation memory = Connector::allocate(size);
  std::memset(memory.data(), 1, size);
  return memory.descriptor();
}

}  // namespace

std::size_t spread_of(std::size_t count, std::size_t size) {
  return count == 1 ? size : 2 * size * count;
}

std::vector<std::size_t> offsets_of_pieces(std::size_t count, std::size_t size) {
  std::vector<std::size_t> offsets;
  for (std::size_t i = 0; i < count; ++i) offsets.push_back(2 * size * i);
  std::shuffle(offsets.begin(), offsets.end(), std::mt19937(count));
  return offsets;
}

Pieces make_pieces(std::size_t count, std::size_t size, Registration registration) {
  const Descriptor whole = registration == Registration::kMapped
                               ? make_mapped_memory(spread_of(count, size))
                               : make_plain_memory(spread_of(count, size));
  Pieces pieces{whole.owner(), {}};
  for (const std::size_t offset : offsets_of_pieces(count, size)) {
    const Descriptor slice = whole.slice(offset, size);
    pieces.descriptors.push_back(
        registration == Registration::kApart
            ? Descriptor(reinterpret_cast<void*>(slice.ptr()), size)
            : slice);
  }
  return pieces;
}

}  // namespace nixl_connect::bench
