// SPDX-License-Identifier: Apache-2.0
//
// How much of a GPU the page kernel takes by itself, as a table, and what users ask.
#include "paths/cuda/kernel_choice.h"

#include <gtest/gtest.h>

#include <vector>

namespace nixl_connect::paths::cuda {
namespace {

using enum CopyRoute;

constexpr std::uint64_t kKiB = 1 << 10;

// Side by side nowhere; off by `shift` bytes from each other, modulo 16.
std::vector<Page> pages_of(std::uint64_t size, std::uint64_t shift = 0,
                           std::size_t count = 4096) {
  std::vector<Page> pages;
  for (std::size_t i = 0; i < count; ++i)
    pages.push_back({2 * i * size, (1ULL << 40) + 4 * i * size + shift, size});
  return pages;
}

KernelTerms h200(CopyRoute route, std::uint32_t max_blocks = 0) {
  return {route, max_blocks, 132, true};
}

TEST(KernelChoice, TakesWhatThePagesNeed) {
  struct Case {
    std::uint64_t page_bytes;
    CopyRoute route;
    std::uint32_t bulk;
    std::uint32_t plain;
  };
  for (const Case& each : {
           Case{1 * kKiB, kFromPeer, 64, 132},
           {4 * kKiB, kFromPeer, 64, 132},
           {16 * kKiB, kFromPeer, 32, 64},
           {64 * kKiB, kFromPeer, 32, 64},
           {256 * kKiB, kFromPeer, 32, 64},
           {4 * kKiB, kToPeer, 64, 132},
           {16 * kKiB, kToPeer, 32, 64},
           {64 * kKiB, kToPeer, 64, 132},
           {256 * kKiB, kToPeer, 64, 132},
           {4 * kKiB, kWithinGpu, 64, 132},
           {16 * kKiB, kWithinGpu, 64, 132},
           {64 * kKiB, kWithinGpu, 64, 132},
           {8 * kKiB - 1, kFromPeer, 64, 132},
           {8 * kKiB, kFromPeer, 32, 64},
           {32 * kKiB - 1, kToPeer, 32, 64},
           {32 * kKiB, kToPeer, 64, 132},
       }) {
    EXPECT_EQ(usual_blocks(each.page_bytes, each.route, true), each.bulk)
        << each.page_bytes;
    EXPECT_EQ(usual_blocks(each.page_bytes, each.route, false), each.plain)
        << each.page_bytes;
  }
}

TEST(KernelChoice, LeavesMostOfAHopperGpuToOthersBetweenGpus) {
  for (std::uint64_t bytes = 512; bytes < 4096 * kKiB; bytes *= 2)
    for (const CopyRoute route : {kFromPeer, kToPeer})
      EXPECT_LT(choose_kernel(pages_of(bytes), h200(route)).max_blocks, 132 / 2);
}

TEST(KernelChoice, CopiesSmallPagesWithinAGpuPlainlyByAllOfIt) {
  const KernelChoice small = choose_kernel(pages_of(4 * kKiB), h200(kWithinGpu));
  EXPECT_TRUE(small.is_plain);
  EXPECT_EQ(small.max_blocks, 132U);
  const KernelChoice large = choose_kernel(pages_of(64 * kKiB), h200(kWithinGpu));
  EXPECT_FALSE(large.is_plain);
  EXPECT_EQ(large.max_blocks, 64U);
}

TEST(KernelChoice, DoesWithoutBulkWherePagesOrTheGpuDo) {
  KernelTerms terms = h200(kFromPeer);
  EXPECT_FALSE(choose_kernel(pages_of(16 * kKiB), terms).is_plain);
  EXPECT_EQ(choose_kernel(pages_of(16 * kKiB, 8), terms).max_blocks, 64U);
  EXPECT_TRUE(choose_kernel(pages_of(16 * kKiB, 8), terms).is_plain);
  terms.has_bulk = false;
  terms.multiprocessors = 108;
  EXPECT_TRUE(choose_kernel(pages_of(4 * kKiB), terms).is_plain);
  EXPECT_EQ(choose_kernel(pages_of(4 * kKiB), terms).max_blocks, 108U);
}

TEST(KernelChoice, GoesByThePagesThatAreForTheKernel) {
  auto pages = pages_of(4 * kKiB, 0, 100);
  pages.push_back({1ULL << 50, 1ULL << 51, 1ULL << 30});
  EXPECT_EQ(choose_kernel(pages, h200(kFromPeer)).max_blocks, 64U);
  EXPECT_EQ(choose_kernel({}, h200(kFromPeer)).max_blocks, 132U);
  KernelTerms terms = h200(kFromPeer);
  terms.least_engine_bytes = 2ULL << 30;
  EXPECT_EQ(choose_kernel(pages, terms).max_blocks, 32U);
}

TEST(KernelChoice, TakesNoMoreThanTheUserLets) {
  for (const CopyRoute route : {kFromPeer, kToPeer, kWithinGpu})
    for (const std::uint64_t bytes : {4 * kKiB, 64 * kKiB})
      for (const std::uint32_t most : {1U, 7U, 100U, 132U})
        EXPECT_EQ(choose_kernel(pages_of(bytes), h200(route, most)).max_blocks, most);
  EXPECT_EQ(choose_kernel(pages_of(4 * kKiB), h200(kFromPeer, 1024)).max_blocks, 132U)
      << "there are no more";
  EXPECT_FALSE(choose_kernel(pages_of(4 * kKiB), h200(kWithinGpu, 16)).is_plain)
      << "with few, bulk copies are faster";
}

TEST(KernelChoice, TakesFewForPagesOfTheHostAndNoBulkCopies) {
  for (const CopyRoute route : {CopyRoute::kFromHost, CopyRoute::kToHost}) {
    for (const std::uint64_t bytes : {4 * kKiB, 64 * kKiB}) {
      const KernelChoice choice = choose_kernel(pages_of(bytes), h200(route));
      EXPECT_TRUE(choice.is_plain);
      EXPECT_EQ(choice.max_blocks, 16U);
    }
    EXPECT_EQ(choose_kernel(pages_of(4 * kKiB), h200(route, 3)).max_blocks, 3U);
  }
}

}  // namespace
}  // namespace nixl_connect::paths::cuda
