// SPDX-License-Identifier: Apache-2.0
//
// Threads that move the pieces of copies, mostly those of the smallest, which is not to
// wait for a large one, otherwise of the oldest. They are started when first needed and
// sleep when there is nothing to move. One thread at a time owns the pool, adds copies,
// helps if it likes, and takes what has ended.
#pragma once

#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "paths/host/copy.h"

namespace nixl_connect::paths::host {

class CopyPool {
 public:
  using Tag = std::uint64_t;

  // kStaysAway: it never calls help(), since a piece may keep a thread waiting.
  enum class Owner { kHelps, kStaysAway };

  // `threads` besides the owner, on the cores that the calling thread may use. They
  // call `ended` when has_ended().
  CopyPool(unsigned threads, std::function<void()> ended, Owner owner = Owner::kHelps);
  // Waits for pieces under way, and leaves the rest.
  ~CopyPool();
  CopyPool(const CopyPool&) = delete;
  CopyPool& operator=(const CopyPool&) = delete;

  // The end that a thread of the pool, or help(), sees is told by take_ended(); the one
  // that the owner's Copy::stop() sees is not. Throws Error(kNoResources) if the owner
  // stays away and the system has no thread left.
  void add(Tag tag, std::shared_ptr<Copy> copy);

  // Moves one piece, if there is one that nobody has taken.
  bool help();

  bool has_ended() const noexcept { return has_ended_.load(); }
  // Copies at their end. Empties `tags` first.
  void take_ended(std::vector<Tag>& tags);

 private:
  struct Job {
    Tag tag;
    std::shared_ptr<Copy> copy;
  };

  void start_threads();
  void run();
  std::optional<Job> next_job();
  bool move_piece(const Job& job);
  void remove(const Job& job);

  const unsigned wanted_threads_;
  const std::function<void()> ended_;
  const Owner owner_;
  cpu_set_t cores_;
  std::vector<std::thread> threads_;

  std::atomic<bool> has_ended_{false};
  std::atomic<bool> has_jobs_{false};  // written under mutex_
  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::vector<Job> jobs_;  // not wholly taken, or so a moment ago; oldest first
  unsigned picks_ = 0;
  std::vector<Tag> ended_tags_;
  bool is_closing_ = false;
};

}  // namespace nixl_connect::paths::host
