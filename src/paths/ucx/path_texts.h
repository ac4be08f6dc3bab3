// SPDX-License-Identifier: Apache-2.0
//
// How UCX moves bytes on one endpoint, in words: UCX chooses by direction, memory and
// size and tells only of a request that has been posted, so the first one of each kind
// is asked and the answer kept. Progress thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "paths/ucx/context.h"
#include "paths/ucx/library.h"

namespace nixl_connect::paths::ucx {

enum class Direction { kGet, kPut };

// Of the bytes of one request.
struct MemoryKinds {
  MemoryKind local = MemoryKind::kHost;
  MemoryKind remote = MemoryKind::kHost;
};

class PathTexts {
 public:
  // "ucx: zero-copy cma/memory"; empty until a request of the kind was noted.
  const std::string& of(Direction direction, MemoryKinds kinds,
                        std::uint64_t size) const noexcept {
    return texts_[index(direction, kinds, size)];
  }

  // `request` was posted with UCP_OP_ATTR_FLAG_NO_IMM_CMPL and is not freed yet.
  void note(Direction direction, MemoryKinds kinds, std::uint64_t size,
            const Functions& functions, void* request);

 private:
  static constexpr std::size_t kSizeClasses = 3;

  static std::size_t index(Direction direction, MemoryKinds kinds,
                           std::uint64_t size) noexcept {
    const std::size_t size_class = size <= 8 << 10 ? 0 : size <= 1 << 20 ? 1 : 2;
    const std::size_t kind = (direction == Direction::kGet ? 0U : 4U) +
                             (kinds.local == MemoryKind::kHost ? 0U : 2U) +
                             (kinds.remote == MemoryKind::kHost ? 0U : 1U);
    return kind * kSizeClasses + size_class;
  }

  std::array<std::string, 8 * kSizeClasses> texts_;
};

}  // namespace nixl_connect::paths::ucx
