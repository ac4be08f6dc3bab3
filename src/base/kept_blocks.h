// SPDX-License-Identifier: Apache-2.0
//
// Vectors of thousands of elements that every operation makes and drops. malloc() gives
// such blocks back to the system and takes them again, page by page and with a word to
// all cores, which can take longer than what the vectors are for. These are kept for
// the next operation, a few of each size. Any thread.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace nixl_connect::base {

constexpr std::size_t kLeastKeptBytes = 32 << 10;
constexpr std::size_t kMostKeptBytes = 1 << 20;

// Of kLeastKeptBytes to kMostKeptBytes. Throws std::bad_alloc.
void* take_block(std::size_t bytes);
// `bytes` as it was taken with.
void keep_block(void* block, std::size_t bytes) noexcept;

template <typename Element>
struct KeptBlocks {
  using value_type = Element;

  KeptBlocks() = default;
  template <typename Other>
  // NOLINTNEXTLINE(google-explicit-constructor): as the standard asks of allocators
  KeptBlocks(const KeptBlocks<Other>&) noexcept {}

  Element* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(Element);
    return static_cast<Element*>(is_kept(bytes) ? take_block(bytes)
                                                : ::operator new(bytes));
  }
  void deallocate(Element* block, std::size_t count) noexcept {
    const std::size_t bytes = count * sizeof(Element);
    is_kept(bytes) ? keep_block(block, bytes) : ::operator delete(block);
  }

  bool operator==(const KeptBlocks&) const = default;

 private:
  static constexpr bool is_kept(std::size_t bytes) noexcept {
    return bytes >= kLeastKeptBytes && bytes <= kMostKeptBytes;
  }
};

// Of elements that malloc() can align.
template <typename Element>
using KeptVector = std::vector<Element, KeptBlocks<Element>>;

}  // namespace nixl_connect::base
