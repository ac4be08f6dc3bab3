// SPDX-License-Identifier: Apache-2.0
//
// host.map: a copy between memory of this process and memory of the peer that this
// process has mapped.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/shared_memory.h"
#include "nixl_connect/metadata.h"
#include "paths/host/copy.h"
#include "paths/host/plain_copy.h"

namespace nixl_connect::paths::host {

class MappedCopy final : public Copy {
 public:
  using Maps = std::vector<std::shared_ptr<const base::SharedMemory>>;

  // As Copy(); remote addresses are those of this process, in `maps`, which stay mapped
  // until the copy is destroyed.
  MappedCopy(OperationKind kind, Maps maps, Ranges ranges,
             std::uint64_t streaming_bytes, std::atomic<std::uint64_t>& progress)
      : Copy(std::move(ranges), progress),
        kind_(kind),
        maps_(std::move(maps)),
        is_streaming_(bytes() >= streaming_bytes) {}

  bool checks_lease() const noexcept override { return false; }

 private:
  Moved move(std::span<const Range> piece) noexcept override {
    return copy_plainly(kind_, piece, is_streaming_);
  }

  const OperationKind kind_;
  const Maps maps_;
  const bool is_streaming_;
};

}  // namespace nixl_connect::paths::host
