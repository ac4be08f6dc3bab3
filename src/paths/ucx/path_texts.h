// SPDX-License-Identifier: Apache-2.0
//
// How UCX moves bytes on one endpoint, in words: UCX chooses by direction and size and
// tells only of a request that has been posted, so the first one of each kind is asked
// and the answer kept. Progress thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "paths/ucx/library.h"

namespace nixl_connect::paths::ucx {

enum class Direction { kGet, kPut };

class PathTexts {
 public:
  // "ucx: zero-copy cma/memory"; empty until a request of the kind was noted.
  const std::string& of(Direction direction, std::uint64_t size) const noexcept {
    return texts_[index(direction, size)];
  }

  // `request` was posted with UCP_OP_ATTR_FLAG_NO_IMM_CMPL and is not freed yet.
  void note(Direction direction, std::uint64_t size, const Functions& functions,
            void* request);

 private:
  static constexpr std::size_t kSizeClasses = 3;

  static std::size_t index(Direction direction, std::uint64_t size) noexcept {
    const std::size_t size_class = size <= 8 << 10 ? 0 : size <= 1 << 20 ? 1 : 2;
    return (direction == Direction::kGet ? 0 : kSizeClasses) + size_class;
  }

  std::array<std::string, 2 * kSizeClasses> texts_;
};

}  // namespace nixl_connect::paths::ucx
