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

// What makes a stream wait for the end, also if that has come meanwhile. A value.
struct EndWait {
  const Driver* driver = nullptr;
  CuContext context = nullptr;
  CuDevice device = 0;
  std::atomic<std::uint32_t>* word = nullptr;
  std::uint32_t end = 0;  // its value then, of a rising count

  // What that stream, of the GPU's primary context, is given from now on waits. The
  // thread's own current context stays what it is. Throws as record_point().
  void put_on(CuStream stream) const;
};

class EndFlag {
 public:
  EndFlag() = default;  // nothing can wait for it
  // Throws as Driver::check().
  EndFlag(const Driver& driver, CuDevice device);
  EndFlag(EndFlag&& other) noexcept : wait_(std::exchange(other.wait_, {})) {}
  EndFlag& operator=(EndFlag&& other) noexcept {
    std::swap(wait_, other.wait_);
    return *this;
  }
  ~EndFlag() { raise(); }

  // Whether this process has any, for which streams may wait.
  static bool are_any_there() noexcept;

  // Until raise().
  const EndWait& wait() const noexcept { return wait_; }

  // This is the end: all go on. Does nothing again.
  void raise() noexcept;

  explicit operator bool() const noexcept { return wait_.word != nullptr; }

 private:
  class Words;

  EndWait wait_;
};

}  // namespace nixl_connect::paths::cuda
