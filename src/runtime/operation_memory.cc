// SPDX-License-Identifier: Apache-2.0
#include "runtime/operation_memory.h"

namespace nixl_connect::runtime {

bool OperationMemory::Common::is_of(const Descriptor& descriptor) const noexcept {
  return descriptor.device() == device && descriptor.is_read_only() == is_read_only &&
         !descriptor.owner().owner_before(owner) &&
         !owner.owner_before(descriptor.owner());
}

OperationMemory::OperationMemory(std::span<const Descriptor> descriptors) {
  ranges_.reserve(descriptors.size());
  for (const Descriptor& each : descriptors) {
    if (common_.empty() || !common_.back().is_of(each))
      common_.push_back(
          {ranges_.size(), each.device(), each.is_read_only(), each.owner()});
    if (size_ == 0) device_ = each.device();
    size_ += each.size();
    if (each.size() > 0) ++count_with_bytes_;
    ranges_.emplace_back(each.ptr(), each.size());
  }
}

OperationMemory::OperationMemory(const Pages& pages)
    : pages_(pages),
      paged_(base::paged(pages)),
      size_(paged_->size()),
      count_with_bytes_(paged_->count()),
      device_(pages.memory().front().device()) {}

std::span<const LocalRange> OperationMemory::ranges() const {
  if (paged_) std::call_once(are_ranges_made_, [this] { make_ranges(); });
  return ranges_;
}

void OperationMemory::make_ranges() const {
  ranges_.reserve(paged_->count());
  base::PagedMemory::Finder find(*paged_);
  for (std::size_t page = 0; page < paged_->count(); ++page)
    ranges_.emplace_back(find(page), paged_->page_bytes());
}

const std::vector<Descriptor>& OperationMemory::descriptors() const {
  std::call_once(are_descriptors_made_, [this] {
    if (pages_)
      descriptors_ = pages_->descriptors();
    else
      make_descriptors();
  });
  return descriptors_;
}

void OperationMemory::make_descriptors() const {
  descriptors_.reserve(ranges_.size());
  std::size_t at = 0;
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    if (at + 1 < common_.size() && common_[at + 1].from == i) ++at;
    const auto& [from, device, is_read_only, owner] = common_[at];
    const auto address = ranges_[i].ptr();
    const std::size_t size = ranges_[i].size();
    descriptors_.push_back(
        is_read_only
            ? Descriptor::read_only(reinterpret_cast<const void*>(address), size,
                                    device, owner)
            : Descriptor(reinterpret_cast<void*>(address), size, device, owner));
  }
}

}  // namespace nixl_connect::runtime
