// SPDX-License-Identifier: Apache-2.0
//
// RdmaMetadata::to_json. Thousands of descriptors are common, so numbers and plain text
// are appended as they are.
#include <algorithm>
#include <charconv>

#include "nixl_connect/error.h"
#include "nixl_connect/metadata.h"
#include "wire/utf8.h"

namespace nixl_connect {
namespace {

constexpr std::size_t kUsualDescriptorBytes = 64;
constexpr std::size_t kUsualRestBytes = 160;

void append(std::string& json, std::uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
  json.append(digits, end);
}

void append_escaped(std::string& json, char character) {
  constexpr std::string_view kLetters = "\"\\\b\f\n\r\t";
  constexpr std::string_view kEscapes = "\"\\bfnrt";
  const std::size_t known = kLetters.find(character);
  if (known != std::string_view::npos) {
    json += '\\';
    json += kEscapes[known];
  } else if (static_cast<unsigned char>(character) < 0x20) {
    json += character < 0x10 ? "\\u000" : "\\u001";
    json += "0123456789abcdef"[character & 15];
  } else {
    json += character;
  }
}

void append(std::string& json, std::string_view key, std::string_view text) {
  const auto is_plain = [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
  };
  json += '"';
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    json += text;
  } else {
    if (!wire::is_utf8(text))
      throw Error(ErrorKind::kInvalidArgument,
                  "metadata cannot be written as JSON: " + std::string(key) +
                      " is not UTF-8 text");
    for (const char character : text) append_escaped(json, character);
  }
  json += '"';
}

void append(std::string& json, const SerializedDescriptor& descriptor) {
  json += R"({"device":)";
  append(json, "device", descriptor.device);
  json += R"(,"ptr":)";
  append(json, descriptor.ptr);
  json += R"(,"size":)";
  append(json, descriptor.size);
  json += '}';
}

}  // namespace

std::string RdmaMetadata::to_json() const {
  std::string json;
  json.reserve(descriptors.size() * kUsualDescriptorBytes + nixl_metadata.size() +
               kUsualRestBytes);
  json += R"({"descriptors":[)";
  for (const SerializedDescriptor& descriptor : descriptors) {
    if (&descriptor != descriptors.data()) json += ',';
    append(json, descriptor);
  }
  json += R"(],"nixl_metadata":)";
  append(json, "nixl_metadata", nixl_metadata);
  json += R"(,"notification_key":)";
  append(json, "notification_key", notification_key);
  json += R"(,"operation_kind":)";
  append(json, static_cast<std::uint64_t>(operation_kind));
  json += '}';
  return json;
}

}  // namespace nixl_connect
