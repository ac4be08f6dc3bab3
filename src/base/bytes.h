// SPDX-License-Identifier: Apache-2.0
//
// Byte strings, and bounded little-endian reading and writing of them. Values; no
// threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nixl_connect::base {

using Bytes = std::vector<std::byte>;
using BytesView = std::span<const std::byte>;

inline BytesView as_view(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}
inline std::string_view as_text(BytesView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Lower case.
std::string to_hex(BytesView bytes);

// Appends to a byte string.
class Writer {
 public:
  Writer() = default;
  explicit Writer(Bytes begun) noexcept : bytes_(std::move(begun)) {}

  void reserve(std::size_t size) { bytes_.reserve(size); }

  void u8(std::uint8_t value);
  void u16(std::uint16_t value);
  void u32(std::uint32_t value);
  void u64(std::uint64_t value);
  void raw(BytesView bytes);
  void raw(std::string_view text) { raw(as_view(text)); }

  // Writes over the four bytes at `offset`, which are there.
  void put_u32(std::size_t offset, std::uint32_t value);

  const Bytes& bytes() const& noexcept { return bytes_; }
  Bytes take() && { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

// Consumes a byte string from the front. Each read gives nothing, and consumes nothing,
// if fewer bytes are left than asked for.
class Reader {
 public:
  explicit Reader(BytesView bytes) : rest_(bytes) {}

  std::optional<std::uint8_t> u8();
  std::optional<std::uint16_t> u16();
  std::optional<std::uint32_t> u32();
  std::optional<std::uint64_t> u64();
  std::optional<BytesView> raw(std::uint64_t size);

  BytesView rest() const noexcept { return rest_; }
  bool is_empty() const noexcept { return rest_.empty(); }

 private:
  BytesView rest_;
};

}  // namespace nixl_connect::base
