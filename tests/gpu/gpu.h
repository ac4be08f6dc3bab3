// SPDX-License-Identifier: Apache-2.0
//
// The GPUs of this machine, for tests of what only they can show.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "paths/cuda/devices.h"
#include "paths/cuda/handles.h"
#include "paths/cuda/page_kernel.h"

namespace nixl_connect::paths::cuda::testing {

// One GPU, with a stream and the page kernel.
struct Gpu {
  Gpu(const Driver& driver, const DeviceFacts& facts);

  DeviceFacts facts;
  PrimaryContext context;
  Stream stream;
  std::unique_ptr<PageKernel> kernel;  // none: the program was built without nvcc
};

class Machine {
 public:
  // Why there is nothing to test, or empty.
  static std::string why_not();
  // Made once. The first GPU's context is current on the thread.
  static const Machine& instance();

  const Driver& driver;
  // The first, and with it the second if kernels of each reach the other.
  std::vector<std::unique_ptr<Gpu>> gpus;

 private:
  explicit Machine(const Driver& opened);
};

// Where the kernel runs, what it reads and what it writes, as indices of GPUs.
struct Route {
  const char* name;
  std::size_t source;
  std::size_t target;
};

// On the first GPU; those that this machine has.
std::vector<Route> routes();

DeviceMemory allocate_on(std::size_t gpu, std::size_t size);
void write(CuDevicePointer to, const std::vector<std::byte>& bytes);
std::vector<std::byte> read(CuDevicePointer from, std::size_t size);
void fill(CuDevicePointer to, unsigned char value, std::size_t size);
void finish();  // of the first GPU's stream

}  // namespace nixl_connect::paths::cuda::testing
