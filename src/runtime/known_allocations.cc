// SPDX-License-Identifier: Apache-2.0
#include "runtime/known_allocations.h"

#include <utility>

namespace nixl_connect::runtime {

KnownAllocations::Key KnownAllocations::key_of(const Descriptor& descriptor) {
  return {descriptor.ptr(), descriptor.size(), descriptor.device().id()};
}

KnownAllocations::Allocation KnownAllocations::find(
    const Descriptor& descriptor) const {
  const auto& owner = descriptor.owner();
  if (!owner) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(key_of(descriptor));
  if (found == known_.end()) return nullptr;
  const Known& known = found->second;
  const bool is_same =
      !known.owner.owner_before(owner) && !owner.owner_before(known.owner);
  return is_same ? known.allocation : nullptr;
}

void KnownAllocations::keep(const Descriptor& descriptor, Allocation allocation) {
  if (!descriptor.owner()) return;
  const std::lock_guard lock(mutex_);
  if (known_.size() >= kMost) {
    std::erase_if(known_, [](const auto& each) { return each.second.owner.expired(); });
    if (known_.size() >= kMost) known_.clear();
  }
  known_.insert_or_assign(key_of(descriptor),
                          Known{descriptor.owner(), std::move(allocation)});
}

}  // namespace nixl_connect::runtime
