// SPDX-License-Identifier: Apache-2.0
//
// Targets that nobody has touched.
#pragma once

#include <sys/mman.h>

#include <array>
#include <cstddef>
#include <optional>

#include "base/shared_memory.h"
#include "paths/host/fresh_memory.h"

namespace nixl_connect::bench {

enum class Kind { kAnonymous, kShared };

inline const char* name_of(Kind kind) {
  return kind == Kind::kAnonymous ? "anonymous" : "memfd";
}

class Target {
 public:
  // Begins at a huge page.
  Target(Kind kind, std::size_t size) : size_(size) {
    if (kind == Kind::kShared) {
      memory_.emplace("nixl_connect_bench", size);
      data_ = memory_->data();
      return;
    }
    mapped_ = size + paths::host::kHugePageBytes;
    map_ = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                  -1, 0);
    if (map_ == MAP_FAILED) throw std::bad_alloc();
    void* begin = map_;
    std::size_t space = mapped_;
    data_ = static_cast<std::byte*>(
        std::align(paths::host::kHugePageBytes, size, begin, space));
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target() {
    if (mapped_ > 0) ::munmap(map_, mapped_);
  }

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

  void advise() const { ::madvise(data_, size_, MADV_HUGEPAGE); }
  void populate(std::size_t offset, std::size_t bytes) const {
    const auto address = reinterpret_cast<std::uintptr_t>(data_ + offset);
    paths::host::populate(std::array{paths::host::Range{address, 0, bytes}});
  }

 private:
  const std::size_t size_;
  std::optional<base::SharedMemory> memory_;
  std::size_t mapped_ = 0;
  void* map_ = nullptr;
  std::byte* data_ = nullptr;
};

}  // namespace nixl_connect::bench
