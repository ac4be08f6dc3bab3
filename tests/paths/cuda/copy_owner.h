// SPDX-License-Identifier: Apache-2.0
//
// An owner of a CUDA thread, and things for it to copy.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include "paths/cuda/copy_thread.h"
#include "paths/cuda/session.h"

namespace nixl_connect::paths::cuda::testing {

// The stand-in does not look at it.
constexpr int kKernelImage = 0;

class Owner {
 public:
  explicit Owner(const void* kernel_image = &kKernelImage)
      : thread_(std::make_unique<CopyThread>(
            driver_under_test(),
            CopyThread::Calls{[this](const auto&) { ring(); }, [] {}}, kernel_image)) {}

  CopyThread& thread() const { return *thread_; }
  void destroy_thread() { thread_ = nullptr; }
  // In a forked child, which has no way to do it.
  CopyThread* give_thread_away() { return thread_.release(); }

  std::shared_ptr<DeviceCopy> add(CopyTag tag, CopyWork work) {
    auto copy = std::make_shared<DeviceCopy>(std::move(work), progress_.emplace_back());
    thread_->add(tag, copy);
    return copy;
  }
  // Of the latest that was added.
  std::uint64_t progress() const { return progress_.back(); }

  // The tag of the next copy to end; 0 if none does.
  CopyTag wait() {
    std::unique_lock lock(mutex_);
    while (ended_.empty()) {
      if (!rung_.wait_for(lock, std::chrono::seconds(60), [&] { return is_rung_; })) {
        ADD_FAILURE() << "no copy ends";
        return 0;
      }
      is_rung_ = false;
      std::vector<CopyTag> tags;
      thread_->take_ended(tags);
      ended_.insert(ended_.end(), tags.begin(), tags.end());
    }
    const CopyTag tag = ended_.front();
    ended_.pop_front();
    return tag;
  }

  // Adds a copy and waits for its end.
  std::shared_ptr<DeviceCopy> copy(CopyWork work) {
    auto copy = add(1000, std::move(work));
    EXPECT_EQ(wait(), 1000U);
    return copy;
  }

 private:
  void ring() {
    const std::lock_guard lock(mutex_);
    is_rung_ = true;
    rung_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable rung_;
  bool is_rung_ = false;
  std::deque<CopyTag> ended_;
  std::deque<std::atomic<std::uint64_t>> progress_;
  std::unique_ptr<CopyThread> thread_;
};

inline std::vector<std::byte> random_content(std::size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; i += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, std::min(sizeof word, size - i));
  }
  return bytes;
}

// Ranges of any size and alignment from one allocation of a GPU to another, in another
// order there and never side by side.
class Scattered {
 public:
  Scattered(const Session& session, std::size_t count, std::size_t largest,
            unsigned seed = 1)
      : session_(session), size_(count * (largest + 9)) {
    source_ = allocate(session.driver, size_);
    target_ = allocate(session.driver, size_);
    const auto content = random_content(size_, seed);
    session.write(source_.get(), content);
    session.fill(target_.get(), 0, size_);
    expected_.resize(size_);
    std::mt19937 random(seed);
    const std::size_t stride = largest + 9;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t from = i * stride + random() % 8;
      const std::size_t to = (count - 1 - i) * stride + random() % 8;
      const std::size_t size = 1 + random() % largest;
      ranges_.push_back({source_.get() + from, target_.get() + to, size});
      std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(from), size,
                  expected_.begin() + static_cast<std::ptrdiff_t>(to));
    }
  }

  CopyWork work() const { return {.ranges = ranges_}; }
  std::uint64_t bytes() const { return bytes(ranges_.size()); }
  // Of the first so many ranges.
  std::uint64_t bytes(std::size_t count) const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += ranges_[i].size;
    return sum;
  }
  bool has_arrived() const { return session_.read(target_.get(), size_) == expected_; }
  bool is_untouched() const {
    return session_.read(target_.get(), size_) == std::vector<std::byte>(size_);
  }

 private:
  const Session& session_;
  const std::size_t size_;
  DeviceMemory source_;
  DeviceMemory target_;
  std::vector<std::byte> expected_;
  KeptPages ranges_;
};

// So many batches for the copy engine, of ranges which weigh more by their number than
// by their bytes.
constexpr std::size_t kRangesOfBatch = 255;

inline CopyWork batches_of(const Scattered& scattered) {
  CopyWork work = scattered.work();
  work.may_use_kernels = false;
  return work;
}

}  // namespace nixl_connect::paths::cuda::testing
