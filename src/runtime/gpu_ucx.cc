// SPDX-License-Identifier: Apache-2.0
#include "runtime/gpu_ucx.h"

#include "base/log.h"
#include "nixl_connect/error.h"
#include "runtime/gpus.h"

namespace nixl_connect::runtime {

using paths::cuda::CurrentContext;
using paths::ucx::MemoryKind;
using paths::ucx::Registration;

GpuUcx::GpuUcx(const paths::ucx::Library& library, paths::ucx::ContextOptions options,
               Gpus& gpus, const std::unique_ptr<paths::ucx::Worker>& heard_by)
    : library_(library),
      options_(std::move(options)),
      gpus_(gpus),
      heard_by_(heard_by) {}

bool GpuUcx::open(std::optional<int> device) {
  const std::lock_guard lock(mutex_);
  if (owned_worker_ || why_not_) return !why_not_;
  try {
    make(device);
    return true;
  } catch (const Error& error) {
    owned_worker_.reset();
    context_.reset();
    why_not_ = std::make_shared<const std::string>(error.what());
    base::log_info("UCX carries no memory of GPUs: " + *why_not_);
    return false;
  }
}

bool GpuUcx::may_open() {
  const std::lock_guard lock(mutex_);
  if (owned_worker_ || why_not_) return !why_not_;
  try {
    check();
    return true;
  } catch (const Error& error) {
    why_not_ = std::make_shared<const std::string>(error.what());
    return false;
  }
}

// Throws Error with what stands against it, as far as that is known at once.
void GpuUcx::check() {
  driver_ = gpus_.driver();
  if (driver_ == nullptr) throw Error(ErrorKind::kUnsupported, *gpus_.why_no_driver());
  // What the contexts of one driver are is nothing to another one.
  if (!driver_->is_of_system())
    throw Error(ErrorKind::kUnsupported,
                "UCX uses the system's CUDA driver (libcuda.so.1), and not " +
                    driver_->file + " as the option cuda_driver says");
  if (!library_.has_cuda)
    throw Error(ErrorKind::kUnsupported, "UCX " + library_.version + " of " +
                                             library_.directory +
                                             " has no module for CUDA "
                                             "(ucx/libuct_cuda.so)");
}

void GpuUcx::make(std::optional<int> device) {
  check();
  cuda_context_ = gpus_.context_of(device);
  const CurrentContext current(*driver_, cuda_context_);
  context_ = std::make_unique<const paths::ucx::Context>(library_, options_);
  owned_worker_ = std::make_unique<paths::ucx::Worker>(*context_, *heard_by_);
  address_ = owned_worker_->address();
  worker_.store(owned_worker_.get());
}

std::shared_ptr<const std::string> GpuUcx::why_not() const {
  const std::lock_guard lock(mutex_);
  return why_not_;
}

base::Bytes GpuUcx::address() const {
  const std::lock_guard lock(mutex_);
  return address_;
}

std::shared_ptr<const Registration> GpuUcx::registration_of(
    const paths::cuda::DeviceAllocation& allocation) {
  const std::lock_guard lock(mutex_);
  Key key(allocation.device, {});
  for (const paths::cuda::MemoryChunk& chunk : allocation.chunks)
    key.second.push_back(chunk.buffer_id);
  auto& kept = registrations_[std::move(key)];
  if (auto known = kept.lock()) return known;
  const CurrentContext current(*driver_, gpus_.context_of(allocation.device));
  auto made = std::make_shared<const Registration>(*context_, allocation.start(),
                                                   allocation.size(), MemoryKind::kGpu);
  kept = made;
  std::erase_if(registrations_, [](const auto& each) { return each.second.expired(); });
  return made;
}

GpuUcx::Current::Current(const GpuUcx& ucx) noexcept {
  if (ucx.worker() == nullptr) return;
  try {
    context_.emplace(*ucx.driver_, ucx.cuda_context_);
  } catch (const Error& error) {
    base::log_debug(error.what());
  }
}

GpuUcx::Current::Current(GpuUcx& ucx, int device) noexcept {
  if (ucx.worker() == nullptr) return;
  try {
    context_.emplace(*ucx.driver_, ucx.gpus_.context_of(device));
  } catch (const Error& error) {
    base::log_debug(error.what());
  }
}

std::string GpuUcx::why_failed() const {
  if (worker() == nullptr) return {};
  const Current current(*this);
  const auto result = driver_->functions.stream_query(nullptr);
  if (!paths::cuda::is_sticky(result)) return {};
  return driver_->describe(result) +
         "; CUDA is of no further use to this process, which has to be restarted";
}

void GpuUcx::close() noexcept {
  const std::lock_guard lock(mutex_);
  const Current current(*this);
  worker_.store(nullptr);
  owned_worker_.reset();
  if (!why_not_)
    why_not_ = std::make_shared<const std::string>("the Connector is closed");
}

}  // namespace nixl_connect::runtime
