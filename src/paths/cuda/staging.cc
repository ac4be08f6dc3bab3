// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/staging.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "paths/cuda/page_kernel.h"

namespace nixl_connect::paths::cuda {

using Cause = CopyFailure::Cause;

struct Staging::Gpu {
  Gpu(const Driver& driver, const DeviceFacts& found)
      : facts(found), name(text_of(facts)), context(driver, facts.device) {}

  const DeviceFacts facts;
  const std::string name;
  const PrimaryContext context;
  std::unique_ptr<const PageKernel> kernel;
  bool has_tried_kernel = false;
  std::vector<std::unique_ptr<StagingLane>> idle;
  std::optional<CopyFailure> poison;
};

Staging::Staging(const Driver& driver, const void* kernel_image, std::size_t slot_bytes)
    : driver_(driver), kernel_image_(kernel_image), slot_bytes_(slot_bytes) {}

Staging::~Staging() {
  if (!driver_.is_of_this_process()) {
    static_cast<void>(new auto(std::move(gpus_)));
    return;
  }
  const Functions& functions = driver_.functions;
  for (const auto& [device, gpu] : gpus_) {
    CuContext context = gpu->context.get();
    const bool is_current = functions.context_push(context) == kCuSuccess;
    gpu->idle.clear();
    gpu->kernel = nullptr;
    if (is_current) functions.context_pop(&context);
  }
}

Staging::Gpu& Staging::gpu(CuDevice device) {
  const std::lock_guard lock(mutex_);
  if (const auto found = gpus_.find(device); found != gpus_.end())
    return *found->second;
  const auto devices = find_devices(driver_);
  auto gpu = std::make_unique<Gpu>(driver_, facts_of(devices, device));
  return *gpus_.emplace(device, std::move(gpu)).first->second;
}

// With the context current.
const PageKernel* Staging::kernel_of(Gpu& gpu) {
  const std::lock_guard lock(mutex_);
  if (kernel_image_ == nullptr || std::exchange(gpu.has_tried_kernel, true))
    return gpu.kernel.get();
  gpu.kernel = load_kernel(driver_, gpu.facts, kernel_image_, KernelLists::kLater);
  return gpu.kernel.get();
}

// With the context current.
std::unique_ptr<StagingLane> Staging::take(Gpu& gpu) {
  {
    const std::lock_guard lock(mutex_);
    if (gpu.poison)
      throw CopyRefused(Cause::kPoisoned, gpu.poison->kind, gpu.poison->message);
    if (!gpu.idle.empty()) {
      auto lane = std::move(gpu.idle.back());
      gpu.idle.pop_back();
      return lane;
    }
  }
  return std::make_unique<StagingLane>(driver_, gpu.name, kernel_of(gpu), slot_bytes_);
}

// If the driver does not even say whether the GPU is done, the GPU is not to be used
// any more, and the lane is never given back to the system.
void Staging::give_back(Gpu& gpu, std::unique_ptr<StagingLane> lane) noexcept {
  try {
    lane->settle();
    const std::lock_guard lock(mutex_);
    gpu.idle.push_back(std::move(lane));
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    if (!gpu.poison)
      gpu.poison = CopyFailure{Cause::kPoisoned, ErrorKind::kInternal, error.what()};
    [[maybe_unused]] auto* const lost = lane.release();
  }
}

CopyFailure Staging::failure(CuDevice device) {
  CopyFailure failure = copy_failure("copying between a GPU and memory of the host");
  if (failure.cause != Cause::kPoisoned) return failure;
  const std::lock_guard lock(mutex_);
  const auto gpu = gpus_.find(device);
  if (gpu != gpus_.end() && !gpu->second->poison) gpu->second->poison = failure;
  return failure;
}

Staging::Loan::Loan(Staging& staging, CuDevice device)
    : staging_(staging),
      gpu_(staging.gpu(device)),
      current_(staging.driver_, gpu_.context.get()),
      lane_(staging.take(gpu_)) {}

Staging::Loan::~Loan() { staging_.give_back(gpu_, std::move(lane_)); }

}  // namespace nixl_connect::paths::cuda
