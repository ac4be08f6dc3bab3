// SPDX-License-Identifier: Apache-2.0
//
// local: a copy within this process, between the memory of two Connectors or of one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "nixl_connect/metadata.h"
#include "paths/host/copy.h"
#include "paths/host/plain_copy.h"
#include "paths/local/exposures.h"

namespace nixl_connect::paths::local {

class LocalCopy final : public host::Copy {
 public:
  // As Copy(); all remote ranges lie in the exposure.
  LocalCopy(OperationKind kind, std::shared_ptr<const Exposure> exposure,
            host::Ranges ranges, std::uint64_t streaming_bytes,
            std::atomic<std::uint64_t>& progress)
      : Copy(std::move(ranges), progress),
        kind_(kind),
        exposure_(std::move(exposure)),
        is_streaming_(bytes() >= streaming_bytes) {}

  // No piece moves without it.
  bool checks_lease() const noexcept override { return true; }

 private:
  host::Moved move(std::span<const host::Range> piece) noexcept override {
    const auto held = exposure_->hold();
    if (!held.owns_lock()) return {0, host::Fault::kLeaseOver};
    return host::copy_plainly(kind_, piece, is_streaming_);
  }

  const OperationKind kind_;
  const std::shared_ptr<const Exposure> exposure_;
  const bool is_streaming_;
};

}  // namespace nixl_connect::paths::local
