// SPDX-License-Identifier: Apache-2.0
//
// A watch that goes from one waiting thread to the next.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "runtime/buffers.h"
#include "runtime/operation_state.h"
#include "runtime/watch.h"

namespace nixl_connect::runtime {
namespace {

using Clock = std::chrono::steady_clock;

// Waits in step with another thread, as close as can be.
void wait_until(const std::atomic<int>& step, int value) {
  while (step.load() < value) {
  }
}

TEST(Watch, OfTheNextThreadHearsOfAnEndWhileTheOneBeforeLeaves) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one core only";
  constexpr int kRounds = 3000;
  const OperationState first({}, {}, nullptr);
  const OperationState second({}, {}, nullptr);
  Watch watch(-1, -1);
  std::atomic<int> watched{0};
  std::atomic<int> waiting{0};
  std::atomic<int> done{0};
  std::atomic<bool> is_lost{false};
  std::thread next([&] {
    for (int round = 1; round <= kRounds && !is_lost; ++round) {
      wait_until(watched, round);
      waiting = round;
      while (watch.is_on()) {
      }
      watch.begin(second);
      watch.ended(second);
      const auto late = Clock::now() + testing::kSoon;
      watch.sleep_until(late.time_since_epoch());
      if (Clock::now() >= late) is_lost = true;
      watch.end();
      done = round;
    }
  });
  for (int round = 1; round <= kRounds && !is_lost; ++round) {
    watch.begin(first);
    watch.ended(first);
    watch.sleep_until(core::kNever);
    watched = round;
    wait_until(waiting, round);
    watch.end();
    wait_until(done, round);
  }
  next.join();
  EXPECT_FALSE(is_lost);
}

}  // namespace
}  // namespace nixl_connect::runtime
