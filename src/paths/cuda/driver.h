// SPDX-License-Identifier: Apache-2.0
//
// The CUDA driver of this process: a library that is opened at run time, if there is
// one, and reached through a table of function pointers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "nixl_connect/error.h"
#include "paths/cuda/abi.h"

namespace nixl_connect::paths::cuda {

// One member a function of the driver in use.
struct Functions {
#define NIXL_CONNECT_CU(name, symbol, ...) CuResult (*name)(__VA_ARGS__) = nullptr;
#include "paths/cuda/functions.inc"
#undef NIXL_CONNECT_CU
};

// What a call of the driver came to.
class DriverError : public Error {
 public:
  DriverError(ErrorKind kind, const std::string& message, CuResult result)
      : Error(kind, message), result_(result) {}

  CuResult result() const noexcept { return result_; }

 private:
  CuResult result_;
};

// Constant once it is opened. What the driver's functions ask of threads (most use the
// context that is current on theirs) is for their callers.
struct Driver {
  Functions functions;
  std::string file;
  int version = 0;  // 1000 times the major, 10 times the minor version of CUDA
  std::uint64_t fork_generation = 0;

  // Throws what fail() does, unless the call went well.
  void check(CuResult result, std::string_view attempt) const {
    if (result != kCuSuccess) fail(result, attempt);
  }

  // Throws DriverError of the kind that fits: what was attempted, and how the driver
  // names and words what came of it.
  [[noreturn]] void fail(CuResult result, std::string_view attempt) const;

  // "CUDA_ERROR_OUT_OF_MEMORY (2), out of memory"
  std::string describe(CuResult result) const;

  // Whether it is the one that other libraries of this process find.
  bool is_of_system() const noexcept;

  // False in a child made by fork(), where nothing of CUDA may be called.
  bool is_of_this_process() const noexcept;
};

// Whether all that is done with the same context from now on fails as well, in the
// whole process: it stays so until the process ends.
bool is_sticky(CuResult result) noexcept;

struct OpenedDriver {
  const Driver* driver = nullptr;
  std::string why_not;  // "no CUDA driver: ...", if there is none to use
};

// Opens the driver and starts it on the first call for that file; later calls give the
// same, which lives for ever. `file` empty: the system's libcuda.so.1. That a machine
// has no driver, one older than CUDA 12.0 or no GPU is no error but a fact.
// Thread-safe.
OpenedDriver open_driver(const std::string& file);

}  // namespace nixl_connect::paths::cuda
