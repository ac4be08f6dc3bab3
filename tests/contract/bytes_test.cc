// SPDX-License-Identifier: Apache-2.0
//
// Every byte arrives in its place, and no other is touched: sizes, alignments, lists.
#include <array>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "contract/contract.h"

namespace nixl_connect::contract {
namespace {

class Bytes : public Contract {};

INSTANTIATE_TEST_SUITE_P(On, Bytes, each(all_paths()), instance_name);

constexpr std::array<std::size_t, 9> kSizes{
    0, 1, 4095, 4096, 4097, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 1 << 20};

TEST_P(Bytes, OfAnySizeArrive) {
  for (const std::size_t size : kSizes) {
    SCOPED_TRACE(size);
    expect_moves(one(size), one(size));
  }
}

TEST_P(Bytes, OfAnySizeArriveAtOddAddresses) {
  for (const std::size_t size : kSizes) {
    SCOPED_TRACE(size);
    expect_moves(one(size, 13), one(size, 27));
  }
  expect_moves(one(path().streamed, 1), one(path().streamed, 63));
}

TEST_P(Bytes, OfEveryAlignmentArrive) {
  constexpr std::size_t kLine = 64;
  constexpr std::size_t kPlace = 4 * kLine;
  Ranges theirs;
  Ranges ours;
  for (std::size_t i = 0; i < kLine * kLine; ++i) {
    const std::size_t size = i % (kPlace - kLine);
    theirs.push_back({i * kPlace + i % kLine, size});
    ours.push_back({i * kPlace + i / kLine, size});
  }
  expect_moves(theirs, ours);
}

class ManyBytes : public Contract {};

INSTANTIATE_TEST_SUITE_P(On, ManyBytes,
                         each(paths_of_many_bytes(), {OperationKind::kRead}),
                         instance_name);

// Past the numbers of 31 bits, in system calls and in what UCX is given.
TEST_P(ManyBytes, Arrive) {
  constexpr std::size_t kSize = std::size_t{3} << 30;
  if (kIsSanitized) GTEST_SKIP() << "takes too long with a sanitizer";
  std::ifstream all("/proc/meminfo");
  std::size_t available_kib = 0;
  for (std::string name; all >> name && name != "MemAvailable:";) {
  }
  all >> available_kib;
  if (available_kib < 3 * (kSize >> 10)) GTEST_SKIP() << "not enough memory";
  expect_moves(one(kSize, 5), one(kSize, 5));
}

// The largest take seconds with a sanitizer.
std::vector<std::size_t> counts_up_to(std::size_t most) {
  std::vector<std::size_t> counts{1, 2, 127, 128, 129, 1024, 4096, 10'000};
  std::erase_if(counts, [&](std::size_t count) { return count > most; });
  return counts;
}

constexpr std::size_t kLargestGap = 100;

TEST_P(Bytes, OfManyEqualRangesArrive) {
  Random random(1);
  for (const std::size_t count : counts_up_to(path().most_ranges)) {
    SCOPED_TRACE(count);
    const std::vector<std::size_t> sizes(count, 300);
    expect_moves(shuffled(sizes, 0, random), shuffled(sizes, kLargestGap, random));
  }
}

TEST_P(Bytes, OfManyRangesOfAllSizesArrive) {
  constexpr std::array<std::size_t, 7> kMixed{0, 1, 7, 64, 1000, 4096, 9001};
  Random random(2);
  for (const std::size_t count : counts_up_to(path().most_ranges)) {
    SCOPED_TRACE(count);
    std::vector<std::size_t> sizes(count);
    for (std::size_t& size : sizes) size = kMixed[random() % kMixed.size()];
    expect_moves(shuffled(sizes, kLargestGap, random), shuffled(sizes, 0, random));
  }
}

TEST_P(Bytes, OfNeighboursArriveInTheirOrder) {
  Ranges ranges;
  for (std::size_t i = 0; i < 1000; ++i) ranges.push_back({i * 4096, 4096});
  expect_moves(ranges, ranges);
}

// --gtest_random_seed, or GTEST_RANDOM_SEED, repeats a run.
TEST_P(Bytes, OfRandomListsArrive) {
  constexpr int kLists = 50;
  const int asked_for = GTEST_FLAG_GET(random_seed);
  const int seed = asked_for != 0 ? asked_for : 1 + std::random_device()() % 99'999;
  SCOPED_TRACE("--gtest_random_seed=" + std::to_string(seed));
  Random random(seed);
  for (int i = 0; i < kLists && !HasFailure(); ++i) {
    SCOPED_TRACE("list " + std::to_string(i));
    // As many small numbers as large ones.
    const auto up_to = [&](unsigned bits) {
      return random() % (std::size_t{1} << random() % (bits + 1));
    };
    std::vector<std::size_t> sizes(1 + up_to(10));
    for (std::size_t& size : sizes) size = up_to(i % 10 == 0 ? 18 : 13);
    const std::size_t their_gap = up_to(13);
    const std::size_t our_gap = up_to(13);
    expect_moves(shuffled(sizes, their_gap, random), shuffled(sizes, our_gap, random));
  }
}

}  // namespace
}  // namespace nixl_connect::contract
