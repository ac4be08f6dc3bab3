// SPDX-License-Identifier: Apache-2.0
//
// The memory that Connectors of this process expose, so that others of them can copy it
// without the kernel. A lease's token, which is secret, leads to its memory. Any
// thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <span>
#include <utility>

#include "nixl_connect/descriptor.h"

namespace nixl_connect::paths::local {

class Exposure {
 public:
  // The descriptors stay where they are until end(). `released` is called, on any
  // thread, when is_held() has become false after end().
  explicit Exposure(std::span<const Descriptor> descriptors,
                    std::function<void()> released = {})
      : descriptors_(descriptors), released_(std::move(released)) {}

  // While it is held, the memory is not given back. Not held: the lease is over.
  std::shared_lock<std::shared_mutex> hold() const;

  // The same for what a GPU does, which may take its time: end() does not wait for it.
  // True: the memory is not given back before release(), as often as this was called.
  bool try_hold() const {
    holders_.fetch_add(1);
    if (!is_over()) return true;
    release();
    return false;
  }
  void release() const {
    if (holders_.fetch_sub(1) == 1 && is_over() && released_) released_();
  }
  bool is_held() const noexcept { return holders_.load() > 0; }

  // From now on nobody gets hold of it: those who have are to let go soon.
  bool is_over() const noexcept { return is_over_.load(); }

  // Whether the range, which has that number in the operation, lies in what is exposed
  // of that device. Only while it is held.
  bool covers(std::size_t number, std::uint64_t address, std::uint64_t size,
              const Device& device = {}) const;

  // Returns when nobody holds it any more by hold(). Nobody will from then on.
  void end();

 private:
  const std::span<const Descriptor> descriptors_;
  const std::function<void()> released_;
  std::atomic<bool> is_over_{false};
  mutable std::shared_mutex mutex_;
  mutable std::atomic<std::uint32_t> holders_{0};  // by try_hold()
};

// Lets go at its end. Moves.
class ExposureHold {
 public:
  ExposureHold() = default;
  // Which was held by try_hold().
  explicit ExposureHold(std::shared_ptr<const Exposure> exposure) noexcept
      : exposure_(std::move(exposure)) {}
  ExposureHold(ExposureHold&&) noexcept = default;
  ExposureHold& operator=(ExposureHold&& other) noexcept {
    exposure_.swap(other.exposure_);
    return *this;
  }
  ~ExposureHold() {
    if (exposure_) exposure_->release();
  }

  bool is_over() const noexcept { return exposure_ && exposure_->is_over(); }

 private:
  std::shared_ptr<const Exposure> exposure_;
};

// From now until the lease is over; the rest as for Exposure.
void expose(std::uint64_t token, std::span<const Descriptor> descriptors,
            std::function<void()> released = {});

// The lease is over: returns when no copy touches its memory any more, which is a piece
// of one at most. A GPU may still have some of it. Does nothing for an unknown token.
void end(std::uint64_t token) noexcept;

// Null if no Connector of this process gave that lease, or it is over.
std::shared_ptr<const Exposure> find(std::uint64_t token);

}  // namespace nixl_connect::paths::local
