// SPDX-License-Identifier: Apache-2.0
//
// host.cma: a copy by system calls into the memory of the other process, which needs
// nothing of that process but the kernel's permission.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "nixl_connect/metadata.h"
#include "paths/host/copy.h"
#include "paths/host/process_memory.h"

namespace nixl_connect::paths::host {

class CmaCopy final : public Copy {
 public:
  // As Copy(); remote addresses are those of the peer.
  CmaCopy(OperationKind kind, const LeaseWord& lease, Ranges ranges,
          std::atomic<std::uint64_t>& progress)
      : Copy(std::move(ranges), progress), kind_(kind), lease_(lease) {}

  // It takes the lease's word with the bytes.
  bool checks_lease() const noexcept override { return true; }

 private:
  Moved move(std::span<const Range> piece) noexcept override {
    Batch batch;
    for (const Range& range : piece) batch.add(range);
    return batch.move(kind_, lease_);
  }

  const OperationKind kind_;
  const LeaseWord lease_;
};

}  // namespace nixl_connect::paths::host
