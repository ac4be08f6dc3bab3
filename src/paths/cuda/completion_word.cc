// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/completion_word.h"

namespace nixl_connect::paths::cuda {

CompletionWord::CompletionWord(const Driver& driver)
    : driver_(driver),
      page_(std::make_unique<PinnedPage>()),
      pinned_(register_memory(driver, page_.get(), sizeof(PinnedPage))) {
  driver.check(driver.functions.mem_host_get_device_pointer(&on_gpu_, &page_->word, 0),
               "finding pinned memory on the GPU");
}

CuResult CompletionWord::write(CuStream stream, std::uint32_t value) const noexcept {
  // Without flags the driver fences all of the stream's writes before this one.
  return driver_.functions.stream_write_value32(stream, on_gpu_, value, 0);
}

}  // namespace nixl_connect::paths::cuda
