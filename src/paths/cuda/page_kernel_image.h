// SPDX-License-Identifier: Apache-2.0
//
// The page kernel as nvcc has compiled it, if there was one. Constant; any thread.
#pragma once

#include <span>
#include <string_view>

namespace nixl_connect::paths::cuda {

// For cuModuleLoadData(): machine code for several GPUs, and PTX for those to come.
// None (nullptr) in a library that was built without nvcc.
const void* page_kernel_image() noexcept;

inline bool has_page_kernel() noexcept { return page_kernel_image() != nullptr; }

// The compute capabilities of the machine code, the newest last: 90 is 9.0.
std::span<const int> page_kernel_capabilities() noexcept;

// Whether what is compiled for these runs on a GPU of this capability: machine code
// does within its generation, from its own on, and newer GPUs than all of it compile
// the kernel themselves.
bool runs_on(int gpu, std::span<const int> capabilities) noexcept;

inline bool runs_page_kernel(int gpu) noexcept {
  return runs_on(gpu, page_kernel_capabilities());
}

// "this library was built without nvcc"; empty if it has one.
std::string_view why_no_page_kernel() noexcept;

}  // namespace nixl_connect::paths::cuda
