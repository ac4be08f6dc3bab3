// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/copy_loop.h"

#include <algorithm>
#include <string>
#include <utility>

#include "paths/cuda/device_copies.h"
#include "paths/cuda/end_flag.h"

namespace nixl_connect::paths::cuda {

CopyLoop::CopyLoop(const Driver& driver, const void* kernel_image)
    : driver_(driver), kernel_image_(kernel_image), pinned_maps_(driver) {}

CopyLoop::~CopyLoop() = default;

void CopyLoop::start(CopyTag tag, const std::shared_ptr<DeviceCopy>& copy) {
  try {
    return copies_of(copy->device()).start(tag, copy);
  } catch (...) {
    copy->fail(copy_failure("copying by GPU " + std::to_string(copy->device())));
  }
  refused_.push_back(tag);
}

bool CopyLoop::may_deadlock() const noexcept {
  return has_copies() && EndFlag::are_any_there();
}

bool CopyLoop::may_deadlock_with(const DeviceCopy& copy) const {
  if (!may_deadlock()) return false;
  const auto copies = copies_.find(copy.device());
  return copies == copies_.end() || !copies->second->has_all_for(copy.work());
}

DeviceCopies& CopyLoop::copies_of(CuDevice device) {
  if (const auto found = copies_.find(device); found != copies_.end())
    return *found->second;
  if (devices_.empty()) devices_ = find_devices(driver_);
  const DeviceFacts& facts = facts_of(devices_, device);
  auto copies =
      std::make_unique<DeviceCopies>(driver_, facts, pinned_maps_, kernel_image_);
  return *copies_.emplace(device, std::move(copies)).first->second;
}

bool CopyLoop::advance() {
  bool has_changed = !refused_.empty();
  for (const auto& [device, copies] : copies_)
    if (copies->advance()) has_changed = true;
  return has_changed;
}

bool CopyLoop::look_closely() {
  bool has_changed = false;
  for (const auto& [device, copies] : copies_)
    if (copies->look_closely()) has_changed = true;
  return has_changed;
}

bool CopyLoop::is_any_done() const noexcept {
  return std::any_of(copies_.begin(), copies_.end(),
                     [](const auto& each) { return each.second->is_any_done(); });
}

void CopyLoop::drop(const Instance& owner) {
  for (const auto& [device, copies] : copies_) copies->drop(owner);
  pinned_maps_.drop(owner);
}

std::chrono::steady_clock::time_point CopyLoop::next_end() const noexcept {
  auto next = std::chrono::steady_clock::time_point::max();
  for (const auto& [device, copies] : copies_)
    next = std::min(next, copies->next_end());
  return next;
}

bool CopyLoop::take_near_end() {
  bool is_any = false;
  for (const auto& [device, copies] : copies_)
    if (copies->take_near_end()) is_any = true;
  return is_any;
}

bool CopyLoop::has_copies() const noexcept {
  return std::any_of(copies_.begin(), copies_.end(),
                     [](const auto& each) { return each.second->has_copies(); });
}

bool CopyLoop::is_anything_under_way() const noexcept {
  return std::any_of(copies_.begin(), copies_.end(), [](const auto& each) {
    return each.second->is_anything_under_way();
  });
}

bool CopyLoop::is_any_waiting() const noexcept {
  return std::any_of(copies_.begin(), copies_.end(),
                     [](const auto& each) { return each.second->is_any_waiting(); });
}

void CopyLoop::take_ended(std::vector<CopyTag>& tags) {
  tags.swap(refused_);
  refused_.clear();
  for (const auto& [device, copies] : copies_) copies->take_ended(tags);
}

}  // namespace nixl_connect::paths::cuda
