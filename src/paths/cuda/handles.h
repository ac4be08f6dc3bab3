// SPDX-License-Identifier: Apache-2.0
//
// Owners of what the CUDA driver gives out. Resources: they move, never copy. Any
// thread, but most of them are made with the context that is current there, and the
// driver has to outlive them.
#pragma once

#include <utility>

#include "paths/cuda/driver.h"

namespace nixl_connect::paths::cuda {

// Gives its object back by the driver's function that Release names. What fails then
// is not told: the object is gone either way, or its whole context is.
template <typename Object, auto Release>
class Handle {
 public:
  Handle() = default;
  Handle(const Driver& driver, Object object) noexcept
      : driver_(&driver), object_(object) {}
  Handle(Handle&& other) noexcept
      : driver_(std::exchange(other.driver_, nullptr)),
        object_(std::exchange(other.object_, Object{})) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(driver_, other.driver_);
    std::swap(object_, other.object_);
    return *this;
  }
  ~Handle() {
    if (driver_ != nullptr) (driver_->functions.*Release)(object_);
  }

  Object get() const noexcept { return object_; }
  explicit operator bool() const noexcept { return driver_ != nullptr; }

 private:
  const Driver* driver_ = nullptr;
  Object object_{};
};

using Stream = Handle<CuStream, &Functions::stream_destroy>;
using Event = Handle<CuEvent, &Functions::event_destroy>;
using Module = Handle<CuModule, &Functions::module_unload>;
using DeviceMemory = Handle<CuDevicePointer, &Functions::mem_free>;
using Allocation = Handle<CuAllocation, &Functions::mem_release>;
using ImportedMemory = Handle<CuDevicePointer, &Functions::ipc_close_mem_handle>;
using RegisteredMemory = Handle<void*, &Functions::mem_host_unregister>;

// The context that the CUDA runtime of this process uses for the device, and with it
// torch and cupy; made if there is none yet (some 100 ms and 500 MB of the GPU).
class PrimaryContext {
 public:
  PrimaryContext(const Driver& driver, CuDevice device);
  PrimaryContext(PrimaryContext&& other) noexcept
      : handle_(std::move(other.handle_)), context_(other.context_) {}
  PrimaryContext& operator=(PrimaryContext&&) = delete;

  CuContext get() const noexcept { return context_; }
  CuDevice device() const noexcept { return handle_.get(); }

 private:
  Handle<CuDevice, &Functions::primary_context_release> handle_;
  CuContext context_ = nullptr;
};

// While it lives, calls of this thread that ask or allocate neither fail because some
// other thread captures a stream into a graph, nor spoil that capture.
class BesideCaptures {
 public:
  explicit BesideCaptures(const Driver& driver) noexcept;
  ~BesideCaptures();
  BesideCaptures(const BesideCaptures&) = delete;
  BesideCaptures& operator=(const BesideCaptures&) = delete;

 private:
  const Driver& driver_;
  int before_;
};

// Makes a context current on this thread, and at its end the one from before again;
// beside captures.
class CurrentContext {
 public:
  CurrentContext(const Driver& driver, CuContext context);
  ~CurrentContext();
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

 private:
  const Driver& driver_;
  const BesideCaptures beside_captures_;
};

// These are of the current context. They throw as Driver::check().

// It does not wait for the default stream, nor that one for it.
Stream make_stream(const Driver& driver);

enum class EventReach { kThisProcess, kAllProcesses };

// It measures no time.
Event make_event(const Driver& driver, EventReach reach);

// Of an event that another process has made for all.
Event open_event(const Driver& driver, const CuIpcHandle& handle);

DeviceMemory allocate(const Driver& driver, std::size_t size);

// Memory of this process, which from then on is pinned and can be reached by the GPUs.
RegisteredMemory register_memory(const Driver& driver, void* address, std::size_t size);

}  // namespace nixl_connect::paths::cuda
