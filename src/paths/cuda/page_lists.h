// SPDX-License-Identifier: Apache-2.0
//
// Where long lists of pages are while kernels read them: pinned memory of the host and
// memory of the GPU, kept for the next list when a kernel is done with it. One thread,
// with the GPU's context current on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "paths/cuda/handles.h"

namespace nixl_connect::paths::cuda {

class PageLists {
 public:
  explicit PageLists(const Driver& driver) : driver_(driver) {}
  PageLists(const PageLists&) = delete;
  PageLists& operator=(const PageLists&) = delete;
  // The streams are done with all lists.
  ~PageLists() = default;

  // Room for one list.
  class Room {
   public:
    Room(const Driver& driver, std::size_t size);

    std::byte* on_host() const noexcept { return host_.get(); }
    CuDevicePointer host_on_gpu() const noexcept { return host_on_gpu_; }
    CuDevicePointer on_gpu() const noexcept { return on_gpu_.get(); }
    std::size_t size() const noexcept { return size_; }

    // Whether all kernels that were given it are done.
    bool is_free(const Driver& driver) const;
    // A kernel of that stream has been given it.
    void use(const Driver& driver, CuStream stream);

   private:
    struct Free {
      void operator()(std::byte* memory) const noexcept;
    };
    std::size_t size_;
    std::unique_ptr<std::byte[], Free> host_;
    RegisteredMemory pinned_;
    CuDevicePointer host_on_gpu_ = 0;
    DeviceMemory on_gpu_;
    Event used_;
  };

  // It is the caller's until the next call. Throws as Driver::check().
  Room& take(std::size_t size);

 private:
  const Driver& driver_;
  std::vector<std::unique_ptr<Room>> rooms_;
};

}  // namespace nixl_connect::paths::cuda
