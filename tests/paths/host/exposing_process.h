// SPDX-License-Identifier: Apache-2.0
//
// A second process for tests: a fork with memory of its own under an address that is
// known here, and a lease word. Killed and reaped by the destructor.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <span>

#include "paths/host/process_memory.h"
#include "support/forked_process.h"

namespace nixl_connect::paths::host::testing {

constexpr std::uint64_t kToken = 0x0123456789ABCDEF;

inline std::byte pattern(std::size_t i) {
  return static_cast<std::byte>((i * 2654435761U) >> 7 ^ i);
}

// Whole pages, zero, shared with no process forked later.
class Pages {
 public:
  explicit Pages(std::size_t size) : size_(size) {
    void* const address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) std::abort();
    data_ = static_cast<std::byte*>(address);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::munmap(data_, size_); }

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(data_); }
  void fill() const {
    for (std::size_t i = 0; i < size_; ++i) data_[i] = pattern(i);
  }
  std::size_t wrong_bytes() const {
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < size_; ++i) wrong += data_[i] != pattern(i) ? 1 : 0;
    return wrong;
  }

 private:
  std::byte* data_;
  std::size_t size_;
};

class ExposingProcess {
 public:
  // `prepare` runs in the child on its own copy of `size` bytes, which lie at
  // address().
  ExposingProcess(std::size_t size, const std::function<void(const Pages&)>& prepare)
      : memory_(size), word_(4096), process_([&] {
          prepare(memory_);
          *reinterpret_cast<std::uint64_t*>(word_.data()) = kToken;
        }) {}

  LeaseWord lease() const {
    return {static_cast<std::uint32_t>(process_.pid()), word_.address(), kToken};
  }
  std::uint64_t address() const { return memory_.address(); }

  void kill_and_reap() { process_.kill_and_reap(); }

 private:
  Pages memory_;
  Pages word_;
  nixl_connect::testing::ForkedProcess process_;
};

inline void fill(const Pages& memory) { memory.fill(); }
inline void leave(const Pages&) {}

}  // namespace nixl_connect::paths::host::testing
