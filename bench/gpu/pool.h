// SPDX-License-Identifier: Apache-2.0
//
// Memory that is moved: that of a GPU below the API, by the library's own table of the
// CUDA driver's functions, or memory of the host. All on the thread that made the Gpu,
// where its context is current; all throw as Driver::check().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "gpu/work.h"
#include "nixl_connect/descriptor.h"
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

class Pool {
 public:
  // With an allocation of its own, so that an IPC handle of it begins where it does.
  Pool(const Gpu& gpu, std::size_t size);
  explicit Pool(Allocation memory);

  std::uintptr_t start() const;
  std::size_t size() const { return size_; }

  // Gives each word of 8 bytes its own number, from 1 on.
  void number();
  void clear();
  // Whether the pages that were written to hold the numbers of their sources, and all
  // others nothing. Throws std::runtime_error if not.
  void check(const Work& work) const;

 private:
  void finish(paths::cuda::CuResult submitted, const char* what) const;
  void put(std::size_t at, std::span<const std::uint64_t> words);
  void get(std::size_t at, std::span<std::uint64_t> words) const;

  const std::size_t size_;
  // Of the one, or of the other.
  const Gpu* const gpu_ = nullptr;
  const paths::cuda::DeviceMemory of_gpu_;
  const std::optional<Allocation> of_host_;
};

}  // namespace nixl_connect::bench
