// SPDX-License-Identifier: Apache-2.0
//
// Memory for the tests, with contents that tell where a byte came from.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

namespace nixl_connect::paths::ucx::testing {

inline std::byte pattern_byte(std::uint64_t seed, std::uint64_t offset) {
  std::uint64_t mixed = (offset ^ (seed << 40)) * 0x9E3779B97F4A7C15;
  return static_cast<std::byte>(mixed >> 56 ^ mixed >> 29);
}

inline void fill(std::span<std::byte> memory, std::uint64_t seed) {
  for (std::uint64_t i = 0; i < memory.size(); ++i) memory[i] = pattern_byte(seed, i);
}

inline bool matches(std::span<const std::byte> memory, std::uint64_t seed,
                    std::uint64_t first = 0) {
  for (std::uint64_t i = 0; i < memory.size(); ++i)
    if (memory[i] != pattern_byte(seed, first + i)) return false;
  return true;
}

// Whole pages of their own, zero and untouched.
class Pages {
 public:
  explicit Pages(std::size_t size) : size_(size) {
    void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) throw std::bad_alloc();
    address_ = static_cast<std::byte*>(address);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::munmap(address_, size_); }

  std::span<std::byte> bytes() const noexcept { return {address_, size_}; }
  std::uintptr_t address() const noexcept {
    return reinterpret_cast<std::uintptr_t>(address_);
  }
  void make_read_only() const { ::mprotect(address_, size_, PROT_READ); }

 private:
  std::byte* address_ = nullptr;
  std::size_t size_;
};

}  // namespace nixl_connect::paths::ucx::testing
