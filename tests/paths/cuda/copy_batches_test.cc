// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/copy_batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace nixl_connect::paths::cuda {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
// Of the last one.
constexpr std::uint64_t kMost = kBatchWeight + kBatchWeight / 4;

// Side by side nowhere.
KeptPages ranges_of(std::size_t count, std::uint64_t size) {
  KeptPages ranges;
  for (std::size_t i = 0; i < count; ++i)
    ranges.push_back({i * 2 * size, i * 3 * size, size});
  return ranges;
}

struct Batch {
  bool is_for_kernel;
  std::vector<Page> ranges;
  std::uint64_t bytes;
  std::uint64_t weight;
};

std::vector<Batch> all_of(CopyBatches batches) {
  std::vector<Batch> all;
  while (!batches.is_empty()) {
    const CopyBatch& each = batches.next();
    all.push_back({each.is_for_kernel,
                   {each.ranges.begin(), each.ranges.end()},
                   each.bytes,
                   each.weight});
  }
  EXPECT_EQ(batches.bytes_left(), 0U);
  return all;
}

TEST(CopyBatches, AreOneOfTheCopyEngineForAFewRanges) {
  const auto batches = all_of({ranges_of(kFewRanges, 5000), 32});
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_FALSE(batches[0].is_for_kernel);
  EXPECT_EQ(batches[0].bytes, kFewRanges * 5000);
}

TEST(CopyBatches, AreForTheKernelFromMoreRangesOn) {
  EXPECT_TRUE(are_for_kernel(ranges_of(kFewRanges + 1, 5000)));
  const auto batches = all_of({ranges_of(kFewRanges + 1, 5000), 32});
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_TRUE(batches[0].is_for_kernel);
  EXPECT_FALSE(all_of({ranges_of(kFewRanges + 1, 5000), 0})[0].is_for_kernel)
      << "without a kernel";
}

TEST(CopyBatches, GiveTheCopyEngineSmallerRangesIfItIsSaidSo) {
  const auto ranges = ranges_of(10, kLeastHostEngineBytes);
  EXPECT_TRUE(are_for_kernel(ranges));
  EXPECT_FALSE(are_for_kernel(ranges, kLeastHostEngineBytes));
  auto others = ranges_of(10, kLeastHostEngineBytes - 1);
  others.insert(others.end(), ranges.begin(), ranges.end());
  const auto batches = all_of({others, 32, kLeastHostEngineBytes});
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_FALSE(batches[0].is_for_kernel);
  EXPECT_EQ(batches[0].bytes, 10 * kLeastHostEngineBytes);
  EXPECT_TRUE(batches[1].is_for_kernel);
}

TEST(CopyBatches, GiveLargeRangesToTheCopyEngineFirst) {
  auto ranges = ranges_of(10, 4096);
  ranges.insert(ranges.begin() + 5, {1'000'000'000, 2'000'000'000, kLeastEngineBytes});
  const auto batches = all_of({ranges, 32});
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_FALSE(batches[0].is_for_kernel);
  EXPECT_EQ(batches[0].bytes, kLeastEngineBytes);
  EXPECT_TRUE(batches[1].is_for_kernel);
  EXPECT_EQ(batches[1].ranges.size(), 10U);
}

TEST(CopyBatches, CutALargeRange) {
  const auto batches = all_of({{{10, 20, 900 * kMiB}}, 32});
  ASSERT_EQ(batches.size(), 4U);
  EXPECT_EQ(batches[1].ranges[0].source, 10 + 255 * kMiB);
  EXPECT_EQ(batches[1].ranges[0].target, 20 + 255 * kMiB);
  EXPECT_EQ(batches[3].bytes, 900 * kMiB - 3 * 255 * kMiB);
}

TEST(CopyBatches, LeaveNoSmallRestOfALargeRange) {
  const auto batches = all_of({{{10, 1 << 30, 1024 * kMiB}}, 32});
  ASSERT_EQ(batches.size(), 4U);
  EXPECT_EQ(batches[3].bytes, 1024 * kMiB - 3 * 255 * kMiB);
}

TEST(CopyBatches, AreSmallerWithFewBlocks) {
  const auto ranges = ranges_of(40'000, 4096);
  const auto fast = all_of({ranges, 132});
  const auto slow = all_of({ranges, 1});
  EXPECT_EQ(fast.size(), 1U);
  EXPECT_GE(slow.size(), 10U);
}

TEST(CopyBatches, AreSmallerWhereBytesTakeLonger) {
  const std::uint64_t size = 500 * kMiB;
  EXPECT_EQ(all_of({{{10, 20, size}}, 0}).size(), 2U);
  const auto slow = all_of({{{10, 20, size}}, 0, kLeastEngineBytes, kHostSlowness});
  EXPECT_GE(slow.size(), 13U);
  for (const Batch& batch : slow) EXPECT_LE(batch.weight, kMost);
  const auto pages = all_of({ranges_of(40'000, 4096), 16, kLeastEngineBytes, 7});
  EXPECT_GE(pages.size(), 5U);
  for (const Batch& batch : pages) EXPECT_LE(batch.weight, kMost);
}

PagedPair numbered_of(std::size_t count, std::uint64_t page_bytes) {
  const auto indices = std::make_shared<std::vector<std::uint64_t>>(count);
  const base::PagedMemory memory({{0, count * page_bytes}}, page_bytes, indices);
  return {memory, memory};
}

TEST(CopyBatches, OfPagesHaveEachOnceAndAreNeverTooLarge) {
  for (const std::uint64_t page_bytes : {1, 4096, 65'536, 3'000'000})
    for (const std::uint32_t blocks : {1, 132}) {
      CopyBatches batches(numbered_of(10'000, page_bytes), blocks);
      std::size_t next = 0;
      while (!batches.is_empty()) {
        const CopyBatch& batch = batches.next();
        EXPECT_EQ(batch.first_page, next);
        EXPECT_GT(batch.page_count, 0U);
        EXPECT_EQ(batch.bytes, batch.page_count * page_bytes);
        EXPECT_LE(batch.weight, std::max(kMost, page_bytes * 16 + 5 * kMiB));
        next += batch.page_count;
      }
      EXPECT_EQ(next, 10'000U);
      EXPECT_EQ(batches.bytes_left(), 0U);
    }
}

TEST(CopyBatches, HaveNoSmallOneAtTheEnd) {
  CopyBatches batches(numbered_of(4096, 65'536), 132);
  EXPECT_EQ(batches.next().page_count, 4096U);
  EXPECT_EQ(all_of({ranges_of(4096, 65'536), 132}).size(), 1U);
}

TEST(CopyBatches, OfOneBlockHaveRoomForTheLargestRange) {
  const auto batches =
      all_of({ranges_of(10, kMostEngineBytes - 1), 1, kMostEngineBytes});
  EXPECT_EQ(batches.size(), 9U) << "one each, and the last two";
  for (const Batch& batch : batches) {
    EXPECT_TRUE(batch.is_for_kernel);
    EXPECT_LE(batch.weight, kMost);
  }
}

TEST(CopyBatches, HaveEachByteOnceAndAreNeverTooLarge) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    std::mt19937_64 random(seed);
    KeptPages ranges(random() % 300 + 1);
    std::uint64_t next = 0;
    for (Page& range : ranges) {
      range = {next, next + 7, 1 + random() % (random() % 4 == 0 ? 90 * kMiB : 9000)};
      next += range.size + 1;
    }
    const auto blocks = static_cast<std::uint32_t>(random() % 40);
    std::vector<Page> seen;
    for (const Batch& batch : all_of({ranges, blocks})) {
      EXPECT_LE(batch.weight, kMost);
      EXPECT_FALSE(batch.ranges.empty());
      std::uint64_t bytes = 0;
      for (const Page& range : batch.ranges) bytes += range.size;
      EXPECT_EQ(bytes, batch.bytes);
      seen.insert(seen.end(), batch.ranges.begin(), batch.ranges.end());
    }
    std::sort(seen.begin(), seen.end(),
              [](const Page& a, const Page& b) { return a.source < b.source; });
    auto part = seen.begin();
    for (const Page& range : ranges)
      for (std::uint64_t done = 0; done < range.size; done += part++->size) {
        ASSERT_NE(part, seen.end()) << seed;
        ASSERT_EQ(part->source, range.source + done) << seed;
        ASSERT_EQ(part->target, range.target + done) << seed;
      }
    EXPECT_EQ(part, seen.end());
  }
}

}  // namespace
}  // namespace nixl_connect::paths::cuda
