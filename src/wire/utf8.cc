// SPDX-License-Identifier: Apache-2.0
//
// One step function that measures the character at the front of a text.
#include "wire/utf8.h"

#include <cstdint>

namespace nixl_connect::wire {
namespace {

// What the first byte says about its character. `low` and `high` bound the second byte,
// which alone tells overlong forms, surrogates and too large values.
struct Form {
  std::size_t size = 0;  // 0: no character begins so
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xbf;
};

Form form_of(std::uint8_t first) noexcept {
  if (first < 0x80) return {1};
  if (first < 0xc2) return {};
  if (first < 0xe0) return {2};
  if (first == 0xe0) return {3, 0xa0};
  if (first == 0xed) return {3, 0x80, 0x9f};
  if (first < 0xf0) return {3};
  if (first == 0xf0) return {4, 0x90};
  if (first < 0xf4) return {4};
  if (first == 0xf4) return {4, 0x80, 0x8f};
  return {};
}

// Bytes of the character at the front of `text`, which is not empty; 0 if none is
// there.
std::size_t character_size(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const Form form = form_of(byte(0));
  if (form.size > text.size()) return 0;
  if (form.size > 1 && (byte(1) < form.low || byte(1) > form.high)) return 0;
  for (std::size_t i = 2; i < form.size; ++i)
    if ((byte(i) & 0xc0U) != 0x80U) return 0;
  return form.size;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string bounded_utf8(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view kCut = "...";
  std::string result;
  std::size_t beside_cut = 0;  // the bytes of it that leave room for kCut
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    const std::string_view character = size == 0 ? "?" : text.substr(0, size);
    if (result.size() + character.size() > max_bytes)
      return result.replace(beside_cut, std::string::npos,
                            kCut.substr(0, max_bytes - beside_cut));
    result += character;
    if (result.size() + kCut.size() <= max_bytes) beside_cut = result.size();
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return result;
}

}  // namespace nixl_connect::wire
