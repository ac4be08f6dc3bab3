// SPDX-License-Identifier: Apache-2.0
//
// A stream of bytes in which each tells its place: random ones that repeat with a prime
// period, so that no piece of a power of two looks like another. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nixl_connect::contract {

class Pattern {
 public:
  explicit Pattern(std::uint32_t seed);

  void write(std::span<std::byte> to, std::uint64_t position) const;

  // Index of the first byte that is not the stream's; the size if there is none.
  std::size_t mismatch(std::span<const std::byte> bytes, std::uint64_t position) const;

 private:
  std::span<const std::byte> from(std::uint64_t position, std::size_t size) const;

  std::uint64_t phase_;
};

constexpr std::byte kGuard{0xA5};

// The same with guard bytes.
std::size_t guard_mismatch(std::span<const std::byte> bytes);

}  // namespace nixl_connect::contract
