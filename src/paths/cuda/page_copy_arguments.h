// SPDX-License-Identifier: Apache-2.0
//
// What the page kernel is given, and how its work is cut: read by the compiler of the
// host and by that of the GPU. Values; no threads.
//
// A page is cut into chunks, which begin where a multiple of their size past the
// 128-byte line of the target's start is. A worker is a warp of the kernel; it copies
// the chunks from its share's start up to that of the next share, page after page.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define NIXL_CONNECT_ON_GPU __host__ __device__
#else
#define NIXL_CONNECT_ON_GPU
#endif

namespace nixl_connect::paths::cuda {

// Addresses that the GPU of the kernel reaches. Targets overlap nothing.
struct Page {
  std::uint64_t source = 0;
  std::uint64_t target = 0;
  std::uint64_t size = 0;
};

struct ShareStart {
  std::uint32_t page = 0;
  std::uint32_t chunk = 0;
};

struct PageList {
  const Page* pages = nullptr;
  const ShareStart* shares = nullptr;  // of each worker, and behind them the end
  std::uint32_t chunk_shift = 0;  // a chunk has 1 << chunk_shift bytes, from 128 on
  std::uint32_t workers = 0;
};

// The page at that place of the list, and where that worker's share starts.
NIXL_CONNECT_ON_GPU inline Page page_at(const PageList& list, std::uint32_t place) {
  return list.pages[place];
}
NIXL_CONNECT_ON_GPU inline ShareStart share_at(const PageList& list,
                                               std::uint32_t worker) {
  return list.shares[worker];
}

// A short list travels with the launch of the kernel, whose arguments are 4 KB at most.
// The pages, and behind them the shares.
struct ShortPageList {
  static constexpr std::uint32_t kWords = 504;

  std::uint32_t page_count = 0;
  std::uint32_t chunk_shift = 0;
  std::uint32_t workers = 0;
  std::uint32_t unused = 0;
  std::uint64_t words[kWords] = {};
};
static_assert(sizeof(ShortPageList) <= 4096 && sizeof(Page) == 24 &&
              sizeof(ShareStart) == 8);

constexpr std::uint32_t kWarpThreads = 32;
constexpr std::uint32_t kBulkWarps = 4;    // in a block that copies in bulk
constexpr std::uint32_t kPlainWarps = 16;  // in one that does not
constexpr std::uint32_t kBulkStages = 8;   // chunks of a warp that are under way
constexpr std::uint32_t kLargestBulkShift = 12;

NIXL_CONNECT_ON_GPU constexpr std::uint32_t lead_of(const Page& page) {
  return static_cast<std::uint32_t>(page.target & 127);
}

NIXL_CONNECT_ON_GPU constexpr std::uint64_t chunks_of(const Page& page,
                                                      std::uint32_t chunk_shift) {
  const std::uint64_t last = (std::uint64_t{1} << chunk_shift) - 1;
  return page.size == 0 ? 0 : (lead_of(page) + page.size + last) >> chunk_shift;
}

// The bytes of a page that are in one of its chunks.
struct Chunk {
  std::uint64_t offset = 0;
  std::uint32_t size = 0;
};

NIXL_CONNECT_ON_GPU constexpr Chunk chunk_of(const Page& page, std::uint64_t index,
                                             std::uint32_t chunk_shift) {
  const std::uint64_t lead = lead_of(page);
  const std::uint64_t begin = index == 0 ? 0 : (index << chunk_shift) - lead;
  const std::uint64_t end = ((index + 1) << chunk_shift) - lead;
  return {begin,
          static_cast<std::uint32_t>((end < page.size ? end : page.size) - begin)};
}

// Where pages of one size are that have numbers: those of one piece of memory after the
// other. All but the last have as many.
struct PagePlaces {
  const std::uint64_t* pieces = nullptr;   // their addresses
  const std::uint32_t* numbers = nullptr;  // of the pages
  std::uint32_t pages_of_piece = 0;
};

// A list of such pages, which is made in no time: the shares are reckoned, too.
struct NumberedList {
  PagePlaces sources;
  PagePlaces targets;
  std::uint64_t page_bytes = 0;
  std::uint32_t page_count = 0;
  std::uint32_t chunk_shift = 0;
  std::uint32_t workers = 0;
  std::uint32_t unused = 0;
};

NIXL_CONNECT_ON_GPU constexpr std::uint64_t address_at(const PagePlaces& places,
                                                       std::uint64_t page_bytes,
                                                       std::uint32_t place) {
  const std::uint32_t number = places.numbers[place];
  const std::uint32_t piece = number / places.pages_of_piece;
  return places.pieces[piece] + page_bytes * (number - piece * places.pages_of_piece);
}

NIXL_CONNECT_ON_GPU constexpr Page page_at(const NumberedList& list,
                                           std::uint32_t place) {
  return {address_at(list.sources, list.page_bytes, place),
          address_at(list.targets, list.page_bytes, place), list.page_bytes};
}

// As if each page had as many chunks as one that lies worst; which of them are there is
// for chunks_of() to say.
NIXL_CONNECT_ON_GPU constexpr ShareStart share_at(const NumberedList& list,
                                                  std::uint32_t worker) {
  const std::uint64_t most = chunks_of({0, 127, list.page_bytes}, list.chunk_shift);
  const std::uint64_t chunk = most * list.page_count * worker / list.workers;
  return {static_cast<std::uint32_t>(chunk / most),
          static_cast<std::uint32_t>(chunk % most)};
}

}  // namespace nixl_connect::paths::cuda
