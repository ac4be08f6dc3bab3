// SPDX-License-Identifier: Apache-2.0
//
// Memory of a GPU that is moved, below the API: the library's own table of the CUDA
// driver's functions. All on the thread that made the Gpu, where its context is
// current; all throw as Driver::check().
#pragma once

#include <cstddef>
#include <memory>

#include "gpu/work.h"
#include "paths/cuda/devices.h"
#include "paths/cuda/handles.h"

namespace nixl_connect::bench {

class Gpu {
 public:
  // Of the driver that the environment names. Throws std::runtime_error without one, or
  // if there is no such GPU.
  explicit Gpu(int ordinal);

  // Returns when the stream has done all it was given.
  void finish() const;

  const paths::cuda::Driver& driver;
  const paths::cuda::Functions& functions;
  const paths::cuda::DeviceFacts facts;

 private:
  const paths::cuda::PrimaryContext context_;
  const paths::cuda::CurrentContext current_;
  const paths::cuda::Stream stream_;

 public:
  const paths::cuda::CuStream stream;
};

// Memory with an allocation of its own, so that an IPC handle of it begins where it
// does.
class Pool {
 public:
  Pool(const Gpu& gpu, std::size_t size);

  paths::cuda::CuDevicePointer start() const { return memory_.get(); }
  std::size_t size() const { return size_; }

  // Gives each word of 8 bytes its own number, from 1 on.
  void number();
  void clear();
  // Whether the pages that were written to hold the numbers of their sources, and all
  // others nothing. Throws std::runtime_error if not.
  void check(const Work& work) const;

 private:
  const Gpu& gpu_;
  const std::size_t size_;
  const paths::cuda::DeviceMemory memory_;
};

}  // namespace nixl_connect::bench
