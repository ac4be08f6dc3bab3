// SPDX-License-Identifier: Apache-2.0
//
// host.map: a copy between memory of this process and memory of the peer that this
// process has mapped, by ordinary loads and stores.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/shared_memory.h"
#include "nixl_connect/metadata.h"
#include "paths/host/copy.h"

namespace nixl_connect::paths::host {

class MappedCopy final : public Copy {
 public:
  using Maps = std::vector<std::shared_ptr<const base::SharedMemory>>;

  // As Copy(); remote addresses are those of this process, in `maps`, which stay mapped
  // until the copy is destroyed.
  MappedCopy(OperationKind kind, Maps maps, std::vector<Range> ranges,
             std::atomic<std::uint64_t>& progress);

  const char* path() const noexcept override { return "host.map"; }
  bool checks_lease() const noexcept override { return false; }

 private:
  Moved move(std::span<const Range> piece) noexcept override;

  const OperationKind kind_;
  const Maps maps_;
  const bool is_streaming_;
};

// Where so many bytes at once do not fit into the caches, stores that leave these alone
// are faster, since they need not fetch what they overwrite.
constexpr std::uint64_t kStreamingBytes = 32 << 20;

// memcpy with such stores; they are done on return.
void stream(void* to, const void* from, std::size_t size) noexcept;

}  // namespace nixl_connect::paths::host
