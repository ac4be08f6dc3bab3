// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/page_kernel_image.h"

#include <algorithm>

#ifdef NIXL_CONNECT_PAGE_KERNEL
// The assembler puts the file that nvcc made into this object.
__asm__(
    ".pushsection .rodata\n"
    ".balign 64\n"
    ".hidden nixl_connect_page_kernel\n"
    ".globl nixl_connect_page_kernel\n"
    "nixl_connect_page_kernel:\n"
    ".incbin \"" NIXL_CONNECT_PAGE_KERNEL
    "\"\n"
    ".popsection\n");
// NOLINTNEXTLINE(readability-identifier-naming): so the text above calls it.
extern "C" __attribute__((visibility("hidden"))) const char nixl_connect_page_kernel[];
#endif

namespace nixl_connect::paths::cuda {

const void* page_kernel_image() noexcept {
#ifdef NIXL_CONNECT_PAGE_KERNEL
  return nixl_connect_page_kernel;
#else
  return nullptr;
#endif
}

std::span<const int> page_kernel_capabilities() noexcept {
#ifdef NIXL_CONNECT_PAGE_KERNEL
  static constexpr int kCapabilities[] = {NIXL_CONNECT_PAGE_KERNEL_GPUS};
  return kCapabilities;
#else
  return {};
#endif
}

bool runs_on(int gpu, std::span<const int> capabilities) noexcept {
  if (capabilities.empty()) return false;
  return gpu >= capabilities.back() ||
         std::any_of(capabilities.begin(), capabilities.end(),
                     [gpu](int each) { return each / 10 == gpu / 10 && each <= gpu; });
}

std::string_view why_no_page_kernel() noexcept {
  return has_page_kernel() ? "" : "this library was built without nvcc";
}

}  // namespace nixl_connect::paths::cuda
