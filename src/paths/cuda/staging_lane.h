// SPDX-License-Identifier: Apache-2.0
//
// Two slots of pinned memory through which one thread exchanges bytes between a GPU and
// memory of the host that is not pinned: it fills or empties one of them while the GPU
// works on the other. One thread at a time, with the GPU's context current on it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "paths/cuda/completion_word.h"
#include "paths/cuda/handles.h"
#include "paths/cuda/page_copy_arguments.h"

namespace nixl_connect::paths::cuda {

class PageKernel;

class StagingLane {
 public:
  static constexpr unsigned kSlots = 2;

  // Of slots that hold so many bytes. `gpu_name`: "GPU 0 (NVIDIA H200)". `kernel`,
  // which outlives the lane, takes over where there are many ranges; null: there is
  // none. Throws as Driver::check(), Error(kNoResources) if the system has no memory.
  StagingLane(const Driver& driver, const std::string& gpu_name,
              const PageKernel* kernel, std::size_t slot_bytes);
  StagingLane(const StagingLane&) = delete;
  StagingLane& operator=(const StagingLane&) = delete;
  // The GPU is done with it, or the context is poisoned.
  ~StagingLane() = default;

  std::size_t slot_bytes() const noexcept { return slot_bytes_; }
  // On a page of its own.
  std::uintptr_t slot(unsigned index) const noexcept;

  enum class Direction { kToGpu, kFromGpu };

  // Gives the GPU copies between that slot and its own memory, of ranges of which the
  // one side is in the slot; at most PageKernel::kMostFewPages. Throws as
  // Driver::check(): the GPU may then have some of them, until settle() returns.
  struct Terms {
    std::uint32_t max_blocks = 0;          // of the kernel; 0: it is not to be used
    std::span<const std::uint64_t> walls;  // over which ranges are not joined, in order
  };
  void submit(unsigned index, std::span<const Page> ranges, Direction direction,
              const Terms& terms);

  // Returns when the GPU is done with what submit() has given it of that slot. Throws
  // as Driver::check() if the driver does not say so: after an error of the context
  // nothing is under way any more.
  void await(unsigned index);
  // The same of both slots, whatever became of submit().
  void settle();

 private:
  struct Unmap {
    std::size_t size = 0;
    void operator()(std::byte* memory) const noexcept;
  };
  using Slots = std::unique_ptr<std::byte, Unmap>;

  static Slots map(std::size_t size);
  bool is_idle() const;
  template <typename IsDone>
  void wait(const IsDone& is_done) const;
  void copy_by_engine(const Page& range, Direction direction) const;
  void copy_by_kernel(std::span<Page> ranges, Direction direction,
                      std::uint32_t max_blocks) const;

  const Driver& driver_;
  const std::string attempt_;
  const PageKernel* const kernel_;
  const std::size_t slot_bytes_;
  const Slots slots_;
  const RegisteredMemory pinned_;
  CuDevicePointer on_gpu_ = 0;
  CompletionWord word_;
  Stream stream_;  // the first to go
  std::uint32_t last_number_ = 0;
  std::array<std::uint32_t, kSlots> numbers_{};  // of the last submit() of each slot
  bool is_half_submitted_ = false;
};

}  // namespace nixl_connect::paths::cuda
