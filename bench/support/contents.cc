// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "support/contents.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

namespace nixl_connect::bench {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);

std::byte* bytes_of(const Descriptor& descriptor) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<std::byte*>(descriptor.ptr());
}

// Calls visit(address, size, offset) for each word; the last one may be shorter.
template <typename Visit>
void for_each_word(std::span<const Descriptor> descriptors, const Visit& visit) {
  std::uint64_t offset = 0;
  for (const Descriptor& descriptor : descriptors) {
    std::byte* const bytes = bytes_of(descriptor);
    const std::size_t size = descriptor.size();
    for (std::size_t at = 0; at < size; at += kWord) {
      visit(bytes + at, std::min(kWord, size - at), offset + at);
    }
    offset += size;
  }
}

}  // namespace

void fill_with_offsets(std::span<const Descriptor> descriptors) {
  for_each_word(descriptors, [](std::byte* word, std::size_t size, std::uint64_t at) {
    std::memcpy(word, &at, size);
  });
}

void clear(std::span<const Descriptor> descriptors) {
  for (const Descriptor& descriptor : descriptors) {
    std::memset(bytes_of(descriptor), 0xff, descriptor.size());
  }
}

void check_offsets(std::span<const Descriptor> descriptors) {
  for_each_word(descriptors, [](std::byte* word, std::size_t size, std::uint64_t at) {
    if (std::memcmp(word, &at, size) != 0) {
      throw std::runtime_error("wrong bytes at offset " + std::to_string(at));
    }
  });
}

}  // namespace nixl_connect::bench
