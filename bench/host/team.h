// SPDX-License-Identifier: Apache-2.0
//
// Threads that work together again and again, their owner's among them, without the
// cost of starting them each time. For one thread.
#pragma once

#include <barrier>
#include <functional>
#include <thread>
#include <vector>

namespace nixl_connect::bench {

class Team {
 public:
  // The calling thread and `size` - 1 others; `size` is at least 1.
  explicit Team(unsigned size);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  unsigned size() const noexcept { return static_cast<unsigned>(others_.size()) + 1; }

  // Calls work(0) to work(size() - 1), each on a thread of its own, and returns when
  // all have returned. `work` does not throw.
  void run(const std::function<void(unsigned)>& work);

 private:
  std::barrier<> gate_;  // passed by all before and after the work
  const std::function<void(unsigned)>* work_ = nullptr;  // none: the end
  std::vector<std::thread> others_;
};

}  // namespace nixl_connect::bench
