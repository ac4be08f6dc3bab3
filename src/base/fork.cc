// SPDX-License-Identifier: Apache-2.0
#include "base/fork.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>

namespace nixl_connect::base {
namespace {

struct Process {
  std::atomic<std::uint64_t> generation{1};
  std::atomic<pid_t> id{::getpid()};
};

Process& process();

void count_fork() noexcept {
  process().generation.fetch_add(1, std::memory_order_relaxed);
  process().id.store(::getpid(), std::memory_order_relaxed);
}

Process& process() {
  static Process process;
  [[maybe_unused]] static const int registered =
      pthread_atfork(nullptr, nullptr, count_fork);
  return process;
}

}  // namespace

std::uint64_t fork_generation() noexcept {
  return process().generation.load(std::memory_order_relaxed);
}

pid_t process_id() noexcept { return process().id.load(std::memory_order_relaxed); }

}  // namespace nixl_connect::base
