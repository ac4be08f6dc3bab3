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
                             std::uint32_t chunk_bytes) {
  std::vector<Piece> pieces;
  for (std::uint32_t worker = 0; worker + 1 < shares.size(); ++worker) {
    const ShareStart end = shares[worker + 1];
    std::uint64_t chunk = shares[worker].chunk;
    for (std::uint32_t page = shares[worker].page; page <= end.page;
         ++page, chunk = 0) {
      const std::uint64_t last =
          page == end.page ? end.chunk : chunks_of(pages.at(page), chunk_bytes);
      for (; chunk < last; ++chunk)
        pieces.push_back({worker, page, chunk_of(pages.at(page), chunk, chunk_bytes)});
    }
  }
  return pieces;
}

void expect_whole(const std::vector<Page>& pages, const std::vector<Piece>& pieces,
                  std::uint32_t chunk_bytes) {
  std::vector<std::uint64_t> done(pages.size(), 0);
  for (const Piece& piece : pieces) {
    ASSERT_EQ(piece.chunk.offset, done.at(piece.page));
    ASSERT_GT(piece.chunk.size, 0U);
    ASSERT_LE(piece.chunk.size, chunk_bytes);
    done.at(piece.page) += piece.chunk.size;
  }
  for (std::size_t i = 0; i < pages.size(); ++i) ASSERT_EQ(done[i], pages[i].size);
}

std::uint64_t largest_share(const std::vector<Piece>& pieces, std::uint32_t workers) {
  std::vector<std::uint64_t> weights(workers, 0);
  for (const Piece& piece : pieces)
    weights.at(piece.worker) += piece.chunk.size + kChunkCost;
  return *std::max_element(weights.begin(), weights.end());
}

TEST(PageShares, CoverEachByteOnceAndEvenlyWhateverTheSizes) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937_64 random(seed);
    const std::uint32_t chunk_bytes = 1024U << random() % 5;
    const auto workers = static_cast<std::uint32_t>(1 + random() % 200);
    std::vector<Page> pages(random() % 60);
    for (Page& page : pages) {
      page.target = random() % 100'000;
      page.size = random() % (random() % 3 == 0 ? 300'000 : 300);
    }
    const auto shares = share_out(pages, chunk_bytes, workers);
    ASSERT_EQ(shares.size(), workers + std::size_t{1}) << seed;
    const auto pieces = pieces_of(pages, shares, chunk_bytes);
    expect_whole(pages, pieces, chunk_bytes);
    ASSERT_EQ(pieces.size(), count_chunks(pages, chunk_bytes)) << seed;
    std::uint64_t total = 0;
    for (const Piece& piece : pieces) total += piece.chunk.size + kChunkCost;
    ASSERT_LE(largest_share(pieces, workers),
              total / workers + 1 + chunk_bytes + kChunkCost)
        << seed;
  }
}

TEST(PageShares, BeginChunksOnLinesOfTheTarget) {
  const Page page{.source = 0, .target = 1000, .size = 10'000};
  EXPECT_EQ(chunk_of(page, 0, 1024).size, 1024U - 1000 % 128);
  EXPECT_EQ((page.target + chunk_of(page, 1, 1024).offset) % 128, 0U);
}

TEST(PageShares, OfOnePageReachAllWorkers) {
  const std::vector<Page> pages{{.source = 0, .target = 0, .size = 64 * 1024}};
  const auto shares = share_out(pages, 1024, 64);
  for (std::uint32_t worker = 0; worker < 64; ++worker)
    EXPECT_EQ(shares[worker].chunk, worker);
}

TEST(PageShares, AreMostlyBulkIfMostBytesLieEquallyInBothPlaces) {
  EXPECT_TRUE(is_mostly_bulk(std::vector<Page>{{8, 1032, 4096}, {0, 1, 2000}}));
  EXPECT_FALSE(is_mostly_bulk(std::vector<Page>{{8, 1032, 2000}, {0, 1, 4096}}));
  EXPECT_FALSE(is_mostly_bulk(std::vector<Page>{{0, 0, 64}, {0, 0, 64}}));
}

TEST(PageShares, MergeWhatIsAdjacentOnBothSides) {
  const auto pages = merged(std::vector<Page>{{100, 900, 50},
                                              {150, 950, 50},
                                              {0, 0, 0},
                                              {200, 1000, 1},
                                              {201, 1002, 1},
                                              {203, 1003, 1}});
  ASSERT_EQ(pages.size(), 3U);
  EXPECT_EQ(pages[0].size, 101U);
  EXPECT_EQ(pages[1].target, 1002U);
}

}  // namespace
}  // namespace nixl_connect::paths::cuda
