// SPDX-License-Identifier: Apache-2.0
//
// Copies between GPUs and plain memory of the host, for tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include "paths/cuda/session.h"
#include "paths/cuda/staged_copy.h"
#include "paths/host/copy_pool.h"
#include "paths/host/plain_copy.h"
#include "paths/host/process_memory.h"

namespace nixl_connect::paths::cuda::testing {

using Direction = StagingLane::Direction;

// Memory of this process.
inline HostMove own_memory(bool is_streaming = false) {
  return [=](OperationKind kind, std::span<const host::Range> ranges) {
    return host::copy_plainly(kind, ranges,
                              is_streaming && kind == OperationKind::kWrite);
  };
}

// Memory of another one.
inline HostMove memory_of(const host::LeaseWord& lease) {
  return [lease](OperationKind kind, std::span<const host::Range> ranges) {
    host::Batch batch;
    for (const host::Range& range : ranges) batch.add(range);
    return batch.move(kind, lease);
  };
}

// Threads that copy, and an owner who waits for them.
class StagedCopies {
 public:
  explicit StagedCopies(unsigned threads, std::shared_ptr<Staging> staging)
      : threads_(threads),
        staging_(std::move(staging)),
        pool_(
            threads, [this] { ring(); }, host::CopyPool::Owner::kStaysAway) {}

  std::shared_ptr<StagedCopy> add(StagedWork work, const host::Ranges& ranges) {
    auto copy = std::make_shared<StagedCopy>(staging_, std::move(work), ranges,
                                             threads_, progress_);
    pool_.add(1, copy);
    return copy;
  }
  // For the one copy that there is.
  void wait() {
    std::unique_lock lock(mutex_);
    std::vector<host::CopyPool::Tag> ended;
    while (ended.empty()) {
      const bool came = rung_.wait_for(lock, std::chrono::seconds(60),
                                       [&] { return std::exchange(is_rung_, false); });
      ASSERT_TRUE(came) << "the copy does not end";
      pool_.take_ended(ended);
    }
  }
  std::shared_ptr<StagedCopy> copy(StagedWork work, const host::Ranges& ranges) {
    auto copy = add(std::move(work), ranges);
    wait();
    return copy;
  }
  bool has_ended() const noexcept { return pool_.has_ended(); }
  std::uint64_t progress() const noexcept { return progress_; }

 private:
  void ring() {
    const std::lock_guard lock(mutex_);
    is_rung_ = true;
    rung_.notify_one();
  }

  const unsigned threads_;
  const std::shared_ptr<Staging> staging_;
  std::mutex mutex_;
  std::condition_variable rung_;
  bool is_rung_ = false;
  std::atomic<std::uint64_t> progress_{0};
  host::CopyPool pool_;
};

// Where ranges are on each side, from the beginning of its memory, and how large.
struct Place {
  std::size_t gpu = 0;
  std::size_t host = 0;
  std::size_t size = 0;
};

// Of any size and alignment, in another order on the GPU, and never side by side.
inline std::vector<Place> scattered(std::size_t count, std::size_t largest) {
  std::mt19937 random(1);
  std::vector<Place> places;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t stride = largest + 9;
    places.push_back({(count - 1 - i) * stride + random() % 8,
                      i * stride + random() % 8, 1 + random() % largest});
  }
  return places;
}

inline std::size_t size_for(const std::vector<Place>& places) {
  std::size_t size = 0;
  for (const Place& each : places)
    size = std::max({size, each.gpu + each.size, each.host + each.size});
  return size + 64;
}

// `to` with what the ranges have of `from`.
inline std::vector<std::byte> moved(const std::vector<Place>& places,
                                    Direction direction,
                                    const std::vector<std::byte>& from,
                                    std::vector<std::byte> to) {
  for (const Place& each : places) {
    const bool is_up = direction == Direction::kToGpu;
    std::copy_n(
        from.begin() + static_cast<std::ptrdiff_t>(is_up ? each.host : each.gpu),
        each.size,
        to.begin() + static_cast<std::ptrdiff_t>(is_up ? each.gpu : each.host));
  }
  return to;
}

inline host::Ranges ranges_of(const std::vector<Place>& places, CuDevicePointer gpu,
                              std::uintptr_t host, bool is_gpu_local) {
  host::Ranges ranges;
  for (const Place& each : places) {
    ranges.push_back({host + each.host, gpu + each.gpu, each.size});
    if (is_gpu_local) std::swap(ranges.back().local, ranges.back().remote);
  }
  return ranges;
}

}  // namespace nixl_connect::paths::cuda::testing
