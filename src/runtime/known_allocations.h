// SPDX-License-Identifier: Apache-2.0
//
// Allocations of GPUs in which memory was found to lie, for as long as the owner of
// that memory lives. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "nixl_connect/descriptor.h"

namespace nixl_connect::paths::cuda {
struct DeviceAllocation;
}

namespace nixl_connect::runtime {

class KnownAllocations {
 public:
  using Allocation = std::shared_ptr<const paths::cuda::DeviceAllocation>;

  // Null if none was kept for these bytes of that owner, or there is no owner.
  Allocation find(const Descriptor& descriptor) const;

  void keep(const Descriptor& descriptor, Allocation allocation);

 private:
  // Enough for some lists of tensors; then all are asked about anew.
  static constexpr std::size_t kMost = 16'384;

  using Key = std::tuple<std::uintptr_t, std::size_t, int>;  // address, size, GPU
  struct Known {
    // Keeps the control block, so that no later owner is taken for this one.
    std::weak_ptr<const void> owner;
    Allocation allocation;
  };

  static Key key_of(const Descriptor& descriptor);

  mutable std::mutex mutex_;
  std::map<Key, Known> known_;  // guarded by mutex_
};

}  // namespace nixl_connect::runtime
