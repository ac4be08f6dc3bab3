// SPDX-License-Identifier: Apache-2.0
//
// Base64 and hexadecimal, by table.
#include "wire/text_forms.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "nixl_connect/error.h"

namespace nixl_connect::wire {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNone = 0xff;

using ValueTable = std::array<std::uint8_t, 256>;

constexpr ValueTable values_of(std::string_view alphabet) {
  ValueTable table{};
  table.fill(kNone);
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    table[static_cast<std::uint8_t>(alphabet[i])] =
        static_cast<std::uint8_t>(alphabet.size() == 22 && i >= 16 ? i - 6 : i);
  return table;
}

constexpr ValueTable kBase64Values = values_of(kAlphabet);
constexpr ValueTable kHexValues = values_of("0123456789abcdefABCDEF");

[[noreturn]] void refuse(const char* form, std::size_t position) {
  throw Error(ErrorKind::kInvalidArgument, std::string("nixl_metadata is not ") + form +
                                               " at character " +
                                               std::to_string(position));
}

// The digits at `position` and behind, put together.
std::uint32_t take_digits(std::string_view text, std::size_t position,
                          std::size_t count, const ValueTable& values, unsigned bits,
                          const char* form) {
  std::uint32_t group = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (position + i >= text.size()) refuse(form, text.size());
    const std::uint8_t value = values[static_cast<std::uint8_t>(text[position + i])];
    if (value == kNone) refuse(form, position + i);
    group = group << bits | value;
  }
  return group;
}

}  // namespace

std::string encode_base64(base::BytesView bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (; !bytes.empty();
       bytes = bytes.subspan(std::min<std::size_t>(3, bytes.size()))) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = group << 8 |
              (i < bytes.size() ? std::to_integer<std::uint32_t>(bytes[i]) : 0);
    for (std::size_t i = 0; i < 4; ++i)
      text += i <= bytes.size() ? kAlphabet[group >> (18 - 6 * i) & 63U] : '=';
  }
  return text;
}

base::Bytes decode_base64(std::string_view text, std::size_t start) {
  constexpr const char* kForm = "base64";
  base::Bytes bytes;
  bytes.reserve((text.size() - start) / 4 * 3);
  for (std::size_t position = start; position < text.size(); position += 4) {
    std::size_t digits = 4;
    if (position + 4 == text.size())
      while (digits > 2 && text[position + digits - 1] == '=') --digits;
    std::uint32_t group = take_digits(text, position, digits, kBase64Values, 6, kForm);
    group <<= 6 * (4 - digits);
    if ((group & ((1U << 8 * (4 - digits)) - 1)) != 0)  // bits that no byte takes up
      refuse(kForm, position + digits - 1);
    for (std::size_t i = 0; i + 1 < digits; ++i)
      bytes.push_back(static_cast<std::byte>(group >> (16 - 8 * i)));
  }
  return bytes;
}

base::Bytes decode_hex(std::string_view text, std::size_t start) {
  base::Bytes bytes;
  bytes.reserve((text.size() - start) / 2);
  for (std::size_t position = start; position < text.size(); position += 2)
    bytes.push_back(static_cast<std::byte>(
        take_digits(text, position, 2, kHexValues, 4, "hexadecimal")));
  return bytes;
}

}  // namespace nixl_connect::wire
