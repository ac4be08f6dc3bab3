// SPDX-License-Identifier: Apache-2.0
#include "runtime/gpu_files.h"

#include <utility>

#include "paths/cuda/device_copy.h"

namespace nixl_connect::runtime {

using paths::cuda::CopyWork;
using paths::cuda::DeviceCopy;

GpuFiles::Mapping GpuFiles::find(const Wanted& wanted) const {
  const auto found = open_.find({wanted.owner, wanted.device, wanted.chunk.buffer_id});
  Mapping mapping = found == open_.end() ? nullptr : found->second.lock();
  // Of metadata that was changed.
  if (mapping && (mapping->foreign_start() != wanted.chunk.address ||
                  mapping->size() != wanted.chunk.size))
    return nullptr;
  return mapping;
}

void GpuFiles::open(const Wanted& wanted, base::UniqueFd file, Then then) {
  CopyWork work;
  work.device = wanted.device;
  CopyWork::ForeignPart& part = work.foreign.emplace_back();
  part.memory.owner = wanted.owner;
  part.memory.chunks = {
      {wanted.chunk.address, wanted.chunk.size, wanted.chunk.buffer_id}};
  part.files.push_back(std::move(file));
  auto copy = std::make_shared<DeviceCopy>(std::move(work), no_progress_);
  const Tag tag = ++last_tag_;
  openings_.emplace(tag, Opening{wanted, copy, std::move(then)});
  try {
    add_(tag, std::move(copy));
  } catch (...) {
    openings_.erase(tag);
    throw;
  }
}

wire::ProcessId GpuFiles::ended(Tag tag, core::Time now) {
  const Opening opening = std::move(openings_.extract(tag).mapped());
  Mapping mapping;
  Cause why_not;
  if (!opening.copy->opened().empty()) mapping = opening.copy->opened().front();
  if (mapping)
    keep(opening.wanted, mapping);
  else
    why_not = std::make_shared<const std::string>(
        opening.copy->failure() ? opening.copy->failure()->message : "stopped");
  opening.then(std::move(mapping), std::move(why_not), now);
  return opening.wanted.owner;
}

void GpuFiles::keep(const Wanted& wanted, const Mapping& mapping) {
  if (open_.size() >= most_open_) {
    std::erase_if(open_, [](const auto& each) { return each.second.expired(); });
    most_open_ = 2 * open_.size() + 64;
  }
  open_[{wanted.owner, wanted.device, wanted.chunk.buffer_id}] = mapping;
}

}  // namespace nixl_connect::runtime
