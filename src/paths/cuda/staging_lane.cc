// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/staging_lane.h"

#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "paths/cuda/copy_batches.h"
#include "paths/cuda/pace.h"
#include "paths/cuda/page_kernel.h"
#include "paths/cuda/page_shares.h"

namespace nixl_connect::paths::cuda {
namespace {

using std::chrono::microseconds;

bool is_alone() noexcept {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  return ::sched_getaffinity(0, sizeof cores, &cores) == 0 && CPU_COUNT(&cores) == 1;
}

// Addresses in the slots as the GPU has them.
void shift(std::span<Page> ranges, StagingLane::Direction direction,
           std::uint64_t difference) {
  for (Page& range : ranges)
    (direction == StagingLane::Direction::kToGpu ? range.source : range.target) +=
        difference;
}

}  // namespace

void StagingLane::Unmap::operator()(std::byte* memory) const noexcept {
  ::munmap(memory, size);
}

// A child made by fork() does not have it, so that no page is ever copied on write: the
// GPU would go on with the old one.
StagingLane::Slots StagingLane::map(std::size_t size) {
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    throw Error(ErrorKind::kNoResources,
                "the system has no memory for slots between a GPU and the host");
  ::madvise(memory, size, MADV_DONTFORK);
  return {static_cast<std::byte*>(memory), Unmap{size}};
}

StagingLane::StagingLane(const Driver& driver, const std::string& gpu_name,
                         const PageKernel* kernel, std::size_t slot_bytes)
    : driver_(driver),
      attempt_("copying between " + gpu_name + " and memory of the host"),
      kernel_(kernel),
      slot_bytes_(slot_bytes),
      slots_(map(kSlots * slot_bytes)),
      pinned_(register_memory(driver, slots_.get(), kSlots * slot_bytes)),
      word_(driver),
      stream_(make_stream(driver)) {
  driver.check(driver.functions.mem_host_get_device_pointer(&on_gpu_, slots_.get(), 0),
               "finding pinned memory on the GPU");
}

std::uintptr_t StagingLane::slot(unsigned index) const noexcept {
  return reinterpret_cast<std::uintptr_t>(slots_.get()) + index * slot_bytes_;
}

void StagingLane::submit(unsigned index, std::span<const Page> ranges,
                         Direction direction, const Terms& terms) {
  is_half_submitted_ = true;
  KeptPages whole = merged(KeptPages(ranges.begin(), ranges.end()), terms.walls);
  if (terms.max_blocks > 0 && kernel_ != nullptr &&
      are_for_kernel(whole, kLeastHostEngineBytes))
    copy_by_kernel(whole, direction, terms.max_blocks);
  else
    for (const Page& range : whole) copy_by_engine(range, direction);
  driver_.check(word_.write(stream_.get(), ++last_number_), attempt_);
  numbers_.at(index) = last_number_;
  is_half_submitted_ = false;
}

void StagingLane::copy_by_engine(const Page& range, Direction direction) const {
  const Functions& functions = driver_.functions;
  // In the slots, the driver takes pointers where others are numbers.
  // NOLINTBEGIN(performance-no-int-to-ptr)
  const CuResult result =
      direction == Direction::kToGpu
          ? functions.memcpy_htod_async(range.target,
                                        reinterpret_cast<const void*>(range.source),
                                        range.size, stream_.get())
          : functions.memcpy_dtoh_async(reinterpret_cast<void*>(range.target),
                                        range.source, range.size, stream_.get());
  // NOLINTEND(performance-no-int-to-ptr)
  driver_.check(result, attempt_);
}

void StagingLane::copy_by_kernel(std::span<Page> ranges, Direction direction,
                                 std::uint32_t max_blocks) const {
  shift(ranges, direction, on_gpu_ - slot(0));
  kernel_->copy_few(stream_.get(), ranges, max_blocks);
}

bool StagingLane::is_idle() const {
  const CuResult result = driver_.functions.stream_query(stream_.get());
  if (result == kCuNotReady) return false;
  driver_.check(result, attempt_);
  return true;
}

// As the CUDA thread waits (copy_thread.cc), and for the same reasons.
template <typename IsDone>
void StagingLane::wait(const IsDone& is_done) const {
  if (is_done()) return;
  using SteadyClock = std::chrono::steady_clock;
  static const bool may_spin = !is_alone();
  const auto start = SteadyClock::now();
  while (!is_done()) {
    const auto waited =
        std::chrono::duration_cast<microseconds>(SteadyClock::now() - start);
    if (may_spin && waited < kSpin) {
      std::this_thread::yield();
      continue;
    }
    if (is_idle()) return;
    std::this_thread::sleep_for(std::clamp(waited / 8, kLeastNap, kMostNap));
  }
}

void StagingLane::await(unsigned index) {
  wait([&] { return word_.has(numbers_.at(index)); });
}

void StagingLane::settle() {
  if (is_half_submitted_)
    wait([] { return false; });
  else
    wait([&] { return word_.has(last_number_); });
  is_half_submitted_ = false;
}

}  // namespace nixl_connect::paths::cuda
