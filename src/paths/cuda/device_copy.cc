// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/device_copy.h"

#include <utility>

#include "paths/cuda/driver.h"
#include "paths/cuda/page_shares.h"

namespace nixl_connect::paths::cuda {

CopyFailure copy_failure(const std::string& attempt) {
  try {
    throw;
  } catch (const CopyRefused& error) {
    return {error.cause(), error.kind(), error.what()};
  } catch (const DriverError& error) {
    return {is_sticky(error.result()) ? CopyFailure::Cause::kPoisoned
                                      : CopyFailure::Cause::kDriver,
            error.kind(), error.what()};
  } catch (const Error& error) {
    return {CopyFailure::Cause::kDriver, error.kind(), error.what()};
  } catch (const std::exception& error) {
    return {CopyFailure::Cause::kDriver, ErrorKind::kNoResources,
            attempt + ": " + error.what()};
  }
}

DeviceCopy::DeviceCopy(CopyWork work, std::atomic<std::uint64_t>& progress)
    : work_(std::move(work)),
      device_(work_.device),
      holds_exposure_(work_.exposure != nullptr),
      bytes_(work_.bytes()),
      only_prepares_(work_.only_prepares),
      pins_host_memory_(!work_.host_maps.empty()),
      progress_(progress) {}

void DeviceCopy::add_moved(std::uint64_t bytes) noexcept {
  bytes_moved_ += bytes;
  progress_.store(bytes_moved_, std::memory_order_relaxed);
}

void DeviceCopy::fail(CopyFailure failure) {
  if (!failure_) failure_ = std::move(failure);
}

}  // namespace nixl_connect::paths::cuda
