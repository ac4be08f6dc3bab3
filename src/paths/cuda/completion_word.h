// SPDX-License-Identifier: Apache-2.0
//
// A word of pinned memory by which a stream tells how far it has come. To look at it is
// a load of the host's memory: unlike a query of an event it takes none of the driver's
// locks, which threads of the user may hold for long. One thread, with the GPU's
// context current when it is made and written.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "paths/cuda/handles.h"

namespace nixl_connect::paths::cuda {

class CompletionWord {
 public:
  // Throws as Driver::check().
  explicit CompletionWord(const Driver& driver);

  // When all that the stream was given before is done, and to be seen everywhere.
  CuResult write(CuStream stream, std::uint32_t value) const noexcept;

  // Whether that value was written, or a later one of a rising count.
  bool has(std::uint32_t value) const noexcept {
    const std::uint32_t seen = page_->word.load(std::memory_order_acquire);
    return static_cast<std::int32_t>(seen - value) >= 0;
  }

 private:
  // By itself, since whole pages are pinned.
  struct alignas(4096) PinnedPage {
    std::atomic<std::uint32_t> word{0};
  };

  const Driver& driver_;
  std::unique_ptr<PinnedPage> page_;
  RegisteredMemory pinned_;
  CuDevicePointer on_gpu_ = 0;
};

}  // namespace nixl_connect::paths::cuda
