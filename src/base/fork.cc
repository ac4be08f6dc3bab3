// SPDX-License-Identifier: Apache-2.0
#include "base/fork.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>

namespace nixl_connect::base {
namespace {

std::atomic<std::uint64_t> generation{1};
std::atomic<pid_t> known_id{0};  // 0: not known yet

void count_fork() noexcept {
  generation.fetch_add(1, std::memory_order_relaxed);
  known_id.store(0, std::memory_order_relaxed);
}

}  // namespace

std::uint64_t fork_generation() noexcept {
  [[maybe_unused]] static const int registered =
      pthread_atfork(nullptr, nullptr, count_fork);
  return generation.load(std::memory_order_relaxed);
}

pid_t process_id() noexcept {
  [[maybe_unused]] const std::uint64_t watched = fork_generation();
  const pid_t known = known_id.load(std::memory_order_relaxed);
  if (known != 0) return known;
  const pid_t found = ::getpid();
  known_id.store(found, std::memory_order_relaxed);
  return found;
}

}  // namespace nixl_connect::base
