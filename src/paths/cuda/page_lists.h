// SPDX-License-Identifier: Apache-2.0
//
// Where long lists of pages are while kernels read them: pinned memory of the host and
// memory of the GPU, used for the next list when a kernel is done with it. All of it is
// made at once and there is never more, since the driver may make a call that allocates
// wait for streams of users, which wait for the very copy. One thread, with the GPU's
// context current on it.
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

  // Of the largest list.
  static constexpr std::size_t kMostBytes = 1 << 20;

  // Makes all room, unless it is there. Throws as Driver::check().
  void make();

  // Room for one list.
  struct Room {
    std::size_t size = 0;
    std::byte* on_host = nullptr;
    CuDevicePointer host_on_gpu = 0;
    CuDevicePointer on_gpu = 0;
    Event used;
  };

  // It is the caller's until the next call. Waits for a kernel if none is free, which
  // takes no longer than copies do. Throws as Driver::check().
  Room& take(std::size_t size);

  // A kernel of that stream has been given the room.
  void use(const Room& room, CuStream stream) const;

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept;
  };

  bool is_free(const Room& room) const;

  const Driver& driver_;
  std::unique_ptr<std::byte[], Free> host_;
  RegisteredMemory pinned_;
  DeviceMemory on_gpu_;
  std::vector<Room> rooms_;  // the smallest first
};

}  // namespace nixl_connect::paths::cuda
