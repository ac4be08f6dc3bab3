// SPDX-License-Identifier: Apache-2.0
#include "base/kept_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

namespace nixl_connect::base {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool kAreKept = false;
#else
constexpr bool kAreKept = true;
#endif

constexpr std::size_t kCount = 20'000;

TEST(KeptVector, TakesTheBlockThatOneBeforeItHad) {
  const void* before = nullptr;
  for (int round = 0; round < 3; ++round) {
    KeptVector<int> numbers(kCount - static_cast<std::size_t>(round));
    if (kAreKept && round > 0) {
      EXPECT_EQ(numbers.data(), before);
    }
    before = numbers.data();
  }
}

TEST(KeptVector, KeepsItsElements) {
  for (const std::size_t count : {std::size_t{1}, kLeastKeptBytes / sizeof(int), kCount,
                                  kMostKeptBytes / sizeof(int), 2 * kCount * 10}) {
    KeptVector<int> numbers;
    for (std::size_t i = 0; i < count; ++i) numbers.push_back(static_cast<int>(i));
    const KeptVector<int> moved = std::move(numbers);
    KeptVector<int> copied = moved;
    std::vector<int> expected(count);
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_TRUE(
        std::equal(expected.begin(), expected.end(), copied.begin(), copied.end()));
    copied.back() += 1;
    EXPECT_NE(moved, copied);
  }
}

TEST(KeptVector, IsMadeAndDroppedByManyThreads) {
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int number = 0; number < 4; ++number)
    threads.emplace_back([number] {
      for (int round = 0; round < 500; ++round) {
        const KeptVector<int> mine(kCount + static_cast<std::size_t>(round), number);
        EXPECT_EQ(mine.front(), number);
        EXPECT_EQ(mine.back(), number);
      }
    });
  for (std::thread& each : threads) each.join();
}

}  // namespace
}  // namespace nixl_connect::base
