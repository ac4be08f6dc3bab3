// SPDX-License-Identifier: Apache-2.0
//
// Little-endian numbers in byte strings, whatever the byte order of the machine.
#include "base/bytes.h"

#include <algorithm>
#include <array>

namespace nixl_connect::base {
namespace {

template <typename Number>
std::array<std::byte, sizeof(Number)> encoded(Number value) {
  std::array<std::byte, sizeof(Number)> bytes;
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    bytes[i] = static_cast<std::byte>(value >> (8 * i));
  return bytes;
}

template <typename Number>
void append(Bytes& bytes, Number value) {
  const auto added = encoded(value);
  bytes.insert(bytes.end(), added.begin(), added.end());
}

template <typename Number>
std::optional<Number> take(BytesView& rest) {
  if (rest.size() < sizeof(Number)) return std::nullopt;
  Number value = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    value = static_cast<Number>(value | std::to_integer<Number>(rest[i]) << (8 * i));
  rest = rest.subspan(sizeof(Number));
  return value;
}

}  // namespace

std::string to_hex(BytesView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte >> 4)];
    text += kDigits[std::to_integer<unsigned>(byte & std::byte{15})];
  }
  return text;
}

void Writer::u8(std::uint8_t value) { append(bytes_, value); }
void Writer::u16(std::uint16_t value) { append(bytes_, value); }
void Writer::u32(std::uint32_t value) { append(bytes_, value); }
void Writer::u64(std::uint64_t value) { append(bytes_, value); }
void Writer::raw(BytesView bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void Writer::put_u32(std::size_t offset, std::uint32_t value) {
  std::ranges::copy(encoded(value),
                    bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
}

std::optional<std::uint8_t> Reader::u8() { return take<std::uint8_t>(rest_); }
std::optional<std::uint16_t> Reader::u16() { return take<std::uint16_t>(rest_); }
std::optional<std::uint32_t> Reader::u32() { return take<std::uint32_t>(rest_); }
std::optional<std::uint64_t> Reader::u64() { return take<std::uint64_t>(rest_); }
std::optional<BytesView> Reader::raw(std::uint64_t size) {
  if (size > rest_.size()) return std::nullopt;
  const BytesView bytes = rest_.first(static_cast<std::size_t>(size));
  rest_ = rest_.subspan(bytes.size());
  return bytes;
}

}  // namespace nixl_connect::base
