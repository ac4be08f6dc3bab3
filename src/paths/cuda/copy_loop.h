// SPDX-License-Identifier: Apache-2.0
//
// What the CUDA thread does, besides waiting: the copies of all GPUs. On it alone.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include "paths/cuda/device_copy.h"
#include "paths/cuda/devices.h"
#include "paths/cuda/pinned_maps.h"

namespace nixl_connect::paths::cuda {

class DeviceCopies;

class CopyLoop {
 public:
  CopyLoop(const Driver& driver, const void* kernel_image);
  CopyLoop(const CopyLoop&) = delete;
  CopyLoop& operator=(const CopyLoop&) = delete;
  ~CopyLoop();

  // As DeviceCopies has them, for all GPUs.
  void start(CopyTag tag, const std::shared_ptr<DeviceCopy>& copy);
  // Whether the driver may wait, as it may in what makes, opens or closes something,
  // for streams that wait for the copies of this loop.
  bool may_deadlock() const noexcept;
  // Whether start() would make or open something then.
  bool may_deadlock_with(const DeviceCopy& copy) const;
  bool advance();
  bool look_closely();
  bool is_any_done() const noexcept;
  void drop(const Instance& owner);
  void drop_host_memory(std::uint64_t id) { pinned_maps_.drop(id); }
  std::chrono::steady_clock::time_point next_end() const noexcept;
  bool take_near_end();
  bool has_copies() const noexcept;
  bool is_anything_under_way() const noexcept;
  bool is_any_waiting() const noexcept;

  // Empties `tags` first.
  void take_ended(std::vector<CopyTag>& tags);

 private:
  DeviceCopies& copies_of(CuDevice device);

  const Driver& driver_;
  const void* const kernel_image_;
  std::vector<DeviceFacts> devices_;  // empty until the first copy
  PinnedMaps pinned_maps_;
  // Of the GPUs that have had any.
  std::map<CuDevice, std::unique_ptr<DeviceCopies>> copies_;
  std::vector<CopyTag> refused_;
};

}  // namespace nixl_connect::paths::cuda
