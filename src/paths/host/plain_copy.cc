// SPDX-License-Identifier: Apache-2.0
#include "paths/host/plain_copy.h"

#include <algorithm>
#include <cstring>
#include <utility>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "paths/host/address.h"

namespace nixl_connect::paths::host {

#if defined(__SSE2__)
void stream(void* to, const void* from, std::size_t size) noexcept {
  constexpr std::size_t kLine = 64;
  auto* target = static_cast<std::byte*>(to);
  const auto* source = static_cast<const std::byte*>(from);
  const std::size_t head =
      std::min(size, (kLine - reinterpret_cast<std::uintptr_t>(to) % kLine) % kLine);
  std::memcpy(target, source, head);
  target += head;
  source += head;
  size -= head;
  for (; size >= kLine; size -= kLine, target += kLine, source += kLine) {
    const auto* words = reinterpret_cast<const __m128i*>(source);
    auto* line = reinterpret_cast<__m128i*>(target);
    const __m128i first = _mm_loadu_si128(words);
    const __m128i second = _mm_loadu_si128(words + 1);
    const __m128i third = _mm_loadu_si128(words + 2);
    const __m128i fourth = _mm_loadu_si128(words + 3);
    _mm_stream_si128(line, first);
    _mm_stream_si128(line + 1, second);
    _mm_stream_si128(line + 2, third);
    _mm_stream_si128(line + 3, fourth);
  }
  _mm_sfence();
  std::memcpy(target, source, size);
}
#else
void stream(void* to, const void* from, std::size_t size) noexcept {
  std::memcpy(to, from, size);
}
#endif

Moved copy_plainly(OperationKind kind, std::span<const Range> ranges,
                   bool is_streaming) noexcept {
  // Below, the stores of the head and the tail would cost more than is saved.
  constexpr std::uint64_t kShortest = 4096;
  Moved moved;
  for (const Range& range : ranges) {
    void* to = pointer_to(range.local);
    void* from = pointer_to(range.remote);
    if (kind == OperationKind::kWrite) std::swap(to, from);
    if (is_streaming && range.size >= kShortest)
      stream(to, from, range.size);
    else
      std::memcpy(to, from, range.size);
    moved.bytes += range.size;
  }
  return moved;
}

}  // namespace nixl_connect::paths::host
