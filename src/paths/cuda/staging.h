// SPDX-License-Identifier: Apache-2.0
//
// The lanes (staging_lane.h) of a Connector, made when first needed and kept: as many
// for each GPU as threads have copied from or to it at the same time. Any thread.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

#include "paths/cuda/device_copy.h"
#include "paths/cuda/devices.h"
#include "paths/cuda/page_kernel_image.h"
#include "paths/cuda/staging_lane.h"

namespace nixl_connect::paths::cuda {

class Staging {
 public:
  // Half a lane fits into the cache of a core, beside what else is there.
  static constexpr std::size_t kSlotBytes = 512 << 10;

  // `kernel_image`: none, if the copy engines are to do it all.
  explicit Staging(const Driver& driver, const void* kernel_image = page_kernel_image(),
                   std::size_t slot_bytes = kSlotBytes);
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  // No lane is lent. In a child made by fork() they are left alone.
  ~Staging();

  // A lane for one thread, with the GPU's context current on it meanwhile.
  class Loan;

  // What the exception that is being handled says of a copy by that GPU. One that
  // poisons the context ends all later copies, too.
  CopyFailure failure(CuDevice device);

 private:
  struct Gpu;

  Gpu& gpu(CuDevice device);
  const PageKernel* kernel_of(Gpu& gpu);
  std::unique_ptr<StagingLane> take(Gpu& gpu);
  void give_back(Gpu& gpu, std::unique_ptr<StagingLane> lane) noexcept;

  const Driver& driver_;
  const void* const kernel_image_;
  const std::size_t slot_bytes_;
  std::mutex mutex_;
  // Guarded by mutex_, and each Gpu as well.
  std::map<CuDevice, std::unique_ptr<Gpu>> gpus_;
};

class Staging::Loan {
 public:
  // Throws as Driver::check(), Error(kInvalidArgument) if there is no such GPU,
  // CopyRefused(kPoisoned), Error(kNoResources).
  Loan(Staging& staging, CuDevice device);
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;
  // Returns when the GPU is done with the lane.
  ~Loan();

  StagingLane& operator*() const noexcept { return *lane_; }

 private:
  Staging& staging_;
  Gpu& gpu_;
  const CurrentContext current_;
  std::unique_ptr<StagingLane> lane_;
};

}  // namespace nixl_connect::paths::cuda
