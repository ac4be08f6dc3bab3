// SPDX-License-Identifier: Apache-2.0
//
// A word of pinned memory that streams of users wait for: it stands for the end of
// something that this process does, and is written by the processor, whatever the end.
// The words are kept for ever and count, since a stream may come to its wait long after
// it was given it. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "paths/cuda/driver.h"

namespace nixl_connect::paths::cuda {

class EndFlag {
 public:
  EndFlag() = default;  // holds up nothing
  // Throws as Driver::check().
  EndFlag(const Driver& driver, CuDevice device);
  EndFlag(EndFlag&& other) noexcept : taken_(std::exchange(other.taken_, {})) {}
  EndFlag& operator=(EndFlag&& other) noexcept {
    std::swap(taken_, other.taken_);
    return *this;
  }
  ~EndFlag() { raise(); }

  // What that stream of the GPU's primary context is given from now on waits for
  // raise(). The thread's own current context stays what it is. Throws as
  // record_point().
  void hold_up(CuStream stream) const;

  // Lets all go on. Does nothing again.
  void raise() noexcept;

  explicit operator bool() const noexcept { return taken_.word != nullptr; }

 private:
  struct Taken {
    const Driver* driver = nullptr;
    CuContext context = nullptr;
    CuDevice device = 0;
    std::atomic<std::uint32_t>* word = nullptr;
    std::uint32_t end = 0;  // its value then, of a rising count
  };
  class Words;

  Taken taken_;
};

}  // namespace nixl_connect::paths::cuda
