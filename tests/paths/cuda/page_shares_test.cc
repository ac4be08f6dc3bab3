// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/page_shares.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace nixl_connect::paths::cuda {
namespace {

struct Piece {
  std::uint32_t worker = 0;
  std::uint32_t page = 0;
  Chunk chunk;
};

// What the workers copy, in the order of the pages.
std::vector<Piece> pieces_of(const std::vector<Page>& pages,
                             const std::vector<ShareStart>& shares,
                             std::uint32_t chunk_shift) {
  std::vector<Piece> pieces;
  for (std::uint32_t worker = 0; worker + 1 < shares.size(); ++worker) {
    const ShareStart end = shares[worker + 1];
    std::uint64_t chunk = shares[worker].chunk;
    for (std::uint32_t page = shares[worker].page; page <= end.page;
         ++page, chunk = 0) {
      if (page == pages.size()) break;
      const std::uint64_t all = chunks_of(pages[page], chunk_shift);
      const std::uint64_t last =
          page == end.page ? std::min<std::uint64_t>(end.chunk, all) : all;
      for (; chunk < last; ++chunk)
        pieces.push_back({worker, page, chunk_of(pages.at(page), chunk, chunk_shift)});
    }
  }
  return pieces;
}

void expect_whole(const std::vector<Page>& pages, const std::vector<Piece>& pieces,
                  std::uint32_t chunk_shift) {
  std::vector<std::uint64_t> done(pages.size(), 0);
  for (const Piece& piece : pieces) {
    ASSERT_EQ(piece.chunk.offset, done.at(piece.page));
    ASSERT_GT(piece.chunk.size, 0U);
    ASSERT_LE(piece.chunk.size, 1U << chunk_shift);
    done.at(piece.page) += piece.chunk.size;
  }
  for (std::size_t i = 0; i < pages.size(); ++i) ASSERT_EQ(done[i], pages[i].size);
}

std::uint64_t largest_share(const std::vector<Piece>& pieces, std::uint32_t workers) {
  std::vector<std::uint64_t> weights(workers, 0);
  for (const Piece& piece : pieces)
    weights.at(piece.worker) +=
        piece.chunk.size + (piece.chunk.offset == 0 ? kPageCost : 0);
  return *std::max_element(weights.begin(), weights.end());
}

TEST(PageShares, CoverEachByteOnceAndEvenlyWhateverTheSizes) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937_64 random(seed);
    const auto chunk_shift = static_cast<std::uint32_t>(10 + random() % 5);
    const auto workers = static_cast<std::uint32_t>(1 + random() % 200);
    std::vector<Page> pages(random() % 60);
    for (Page& page : pages) {
      page.target = random() % 100'000;
      page.size = random() % (random() % 3 == 0 ? 300'000 : 300);
    }
    const std::uint64_t bytes = sum_up(pages).bytes;
    const auto shares = share_out(pages, bytes, chunk_shift, workers);
    ASSERT_EQ(shares.size(), workers + std::size_t{1}) << seed;
    const auto pieces = pieces_of(pages, shares, chunk_shift);
    expect_whole(pages, pieces, chunk_shift);
    const std::uint64_t total = bytes + kPageCost * pages.size();
    ASSERT_LE(largest_share(pieces, workers),
              total / workers + 1 + (1U << chunk_shift) + kPageCost)
        << seed;
  }
}

TEST(PageShares, OfNumberedPagesCoverEachByteOnce) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937_64 random(seed);
    const std::vector<std::uint64_t> starts{random() % 1000, 1'000'000 + random() % 99};
    std::vector<std::uint32_t> numbers(1 + random() % 60);
    for (auto& number : numbers) number = static_cast<std::uint32_t>(random() % 40);
    NumberedList list;
    list.sources = {starts.data(), numbers.data(), 20};
    list.targets = {starts.data() + 1, numbers.data(), 40};
    list.page_bytes = 1 + random() % (random() % 3 == 0 ? 300'000 : 300);
    list.page_count = static_cast<std::uint32_t>(numbers.size());
    list.chunk_shift = static_cast<std::uint32_t>(7 + random() % 8);
    list.workers = static_cast<std::uint32_t>(1 + random() % 200);
    std::vector<Page> pages;
    for (std::uint32_t place = 0; place < list.page_count; ++place) {
      pages.push_back(page_at(list, place));
      ASSERT_EQ(pages.back().source,
                starts[numbers[place] / 20] + numbers[place] % 20 * list.page_bytes);
      ASSERT_EQ(pages.back().target, starts[1] + numbers[place] * list.page_bytes);
    }
    std::vector<ShareStart> shares;
    for (std::uint32_t worker = 0; worker <= list.workers; ++worker)
      shares.push_back(share_at(list, worker));
    const auto pieces = pieces_of(pages, shares, list.chunk_shift);
    expect_whole(pages, pieces, list.chunk_shift);
    const std::uint64_t most = chunks_of({0, 127, list.page_bytes}, list.chunk_shift);
    std::vector<std::uint64_t> counts(list.workers);
    for (const Piece& piece : pieces) ++counts[piece.worker];
    ASSERT_LE(*std::max_element(counts.begin(), counts.end()),
              most * list.page_count / list.workers + 1);
  }
}

TEST(PageShares, BeginChunksOnLinesOfTheTarget) {
  const Page page{.source = 0, .target = 1000, .size = 10'000};
  EXPECT_EQ(chunk_of(page, 0, 10).size, 1024U - 1000 % 128);
  EXPECT_EQ((page.target + chunk_of(page, 1, 10).offset) % 128, 0U);
}

TEST(PageShares, OfOnePageReachAllWorkers) {
  const std::vector<Page> pages{{.source = 0, .target = 0, .size = 64 * 1024}};
  const auto shares = share_out(pages, 64 * 1024, 10, 64);
  for (std::uint32_t worker = 0; worker < 64; ++worker)
    EXPECT_EQ(shares[worker].chunk, worker);
}

TEST(PageShares, CountWhatCanGoInBulk) {
  const PageSums sums = sum_up(std::vector<Page>{
      {8, 1032, 4096}, {0, 1, 2000}, {0, 0, 64}, {5, 5, 512}, {0, 0, 0}});
  EXPECT_EQ(sums.bytes, 4096U + 2000 + 64 + 512);
  EXPECT_EQ(sums.bulk_bytes, 4096U + 512);
}

TEST(PageShares, MergeWhatIsAdjacentOnBothSides) {
  const auto pages = merged(KeptPages{{100, 900, 50},
                                      {150, 950, 50},
                                      {0, 0, 0},
                                      {200, 1000, 1},
                                      {201, 1002, 1},
                                      {203, 1003, 1}});
  ASSERT_EQ(pages.size(), 3U);
  EXPECT_EQ(pages[0].size, 101U);
  EXPECT_EQ(pages[1].target, 1002U);
}

TEST(PageShares, MergeNothingAcrossAWall) {
  const KeptPages pages{{100, 900, 50}, {150, 950, 50}, {200, 1000, 50}};
  for (const std::uint64_t wall : {150, 950}) {
    const auto kept_apart = merged(pages, std::vector{wall});
    ASSERT_EQ(kept_apart.size(), 2U);
    EXPECT_EQ(kept_apart[0].size, 50U);
    EXPECT_EQ(kept_apart[1].size, 100U);
  }
  EXPECT_EQ(merged(pages, std::vector<std::uint64_t>{100, 160, 901}).size(), 1U);
}

}  // namespace
}  // namespace nixl_connect::paths::cuda
