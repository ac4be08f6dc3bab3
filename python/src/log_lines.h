// SPDX-License-Identifier: Apache-2.0
//
// How the lines of the library's log reach Python: any thread leaves them here without
// the GIL and without waiting for anybody, and a queue's consumer is told to take them.
// What comes faster than it is taken is counted, and lost.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "completion_queue.h"
#include "nixl_connect/options.h"

namespace nixl_connect::python {

struct LogLine {
  LogLevel level;
  std::chrono::system_clock::time_point time;
  std::string text;
};

class LogLines {
 public:
  struct Taken {
    std::vector<LogLine> lines;
    std::size_t lost = 0;  // behind these
  };

  // `token` is pushed to the queue when there is something to take.
  LogLines(std::shared_ptr<CompletionQueue> queue, std::uint64_t token,
           std::size_t capacity)
      : queue_(std::move(queue)), token_(token), capacity_(capacity) {}

  // Any thread.
  void add(LogLevel level, std::string_view text);

  // In their order. Does not block.
  Taken take();

 private:
  const std::shared_ptr<CompletionQueue> queue_;
  const std::uint64_t token_;
  const std::size_t capacity_;
  std::mutex mutex_;
  Taken waiting_;  // guarded by mutex_
};

}  // namespace nixl_connect::python
