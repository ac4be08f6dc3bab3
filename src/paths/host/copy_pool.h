// SPDX-License-Identifier: Apache-2.0
//
// Threads that move the pieces of copies, the oldest copy first. They are started when
// first needed and sleep when there is nothing to move. One thread at a time owns the
// pool, adds copies, helps and takes what has ended.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "paths/host/cma_copy.h"

namespace nixl_connect::paths::host {

class CopyPool {
 public:
  using Tag = std::uint64_t;

  // `threads` besides the owner. `ended` is called by them, when has_ended().
  CopyPool(unsigned threads, std::function<void()> ended);
  // Waits for pieces under way.
  ~CopyPool();
  CopyPool(const CopyPool&) = delete;
  CopyPool& operator=(const CopyPool&) = delete;

  // A copy of several pieces. What it says of its end is for the pool.
  void add(Tag tag, std::shared_ptr<CmaCopy> copy);

  // Moves one piece, if there is one that nobody has taken.
  bool help();

  bool has_ended() const noexcept { return has_ended_.load(); }
  // Copies at their end. Empties `tags` first.
  void take_ended(std::vector<Tag>& tags);

 private:
  struct Job {
    Tag tag;
    std::shared_ptr<CmaCopy> copy;
  };

  void start_threads();
  void run();
  bool move_piece(const Job& job);

  const unsigned wanted_threads_;
  const std::function<void()> ended_;
  std::vector<std::thread> threads_;

  std::atomic<bool> has_ended_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::deque<Job> jobs_;  // with pieces that nobody has taken, or had a moment ago
  std::vector<Tag> ended_tags_;
  bool is_closing_ = false;
};

}  // namespace nixl_connect::paths::host
