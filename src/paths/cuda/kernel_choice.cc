// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/kernel_choice.h"

#include <algorithm>
#include <array>

#include "paths/cuda/page_shares.h"

namespace nixl_connect::paths::cuda {
namespace {

constexpr std::uint64_t kKiB = 1 << 10;
constexpr std::uint32_t kAll = 132;  // multiprocessors of the H200

struct Row {
  std::uint64_t least_bytes;
  std::uint32_t within_gpu;
  std::uint32_t from_peer;
  std::uint32_t to_peer;
};

// Of an H200; behind each row the GB/s of 4096 pages of 4, 16 and 64 KiB by so many.
constexpr std::array<Row, 3> kBulk{{{0, 64, 64, 64},                 // 330, 276, 252
                                    {8 * kKiB, 64, 32, 32},          // 976, 344, 322
                                    {32 * kKiB, 64, 32, 64}}};       // 1193, 361, 348
constexpr std::array<Row, 3> kPlain{{{0, kAll, kAll, kAll},          // 576, 271, 276
                                     {8 * kKiB, kAll, 64, 64},       // 1063, 326, 319
                                     {32 * kKiB, kAll, 64, kAll}}};  // 1319, 353, 356

// Over PCIe, whose rate so few reach by what they have under way: 64 KiB each, where a
// read takes 1 to 2 us. Not measured.
constexpr std::uint32_t kOverPcie = 16;

// Within one GPU, pages below this go faster without bulk copies, by all
// multiprocessors. With no more than these, bulk copies need fewer for the same.
constexpr std::uint64_t kLeastBulkWithinGpu = 8 * kKiB;
constexpr std::uint32_t kMostBulkWithinGpu = 64;

}  // namespace

std::uint32_t usual_blocks(std::uint64_t page_bytes, CopyRoute route, bool is_bulk) {
  const auto& rows = is_bulk ? kBulk : kPlain;
  const auto behind = std::find_if(rows.begin(), rows.end(), [&](const Row& row) {
    return row.least_bytes > page_bytes;
  });
  const Row& row = *std::prev(behind);
  switch (route) {
    case CopyRoute::kWithinGpu:
      return row.within_gpu;
    case CopyRoute::kFromPeer:
      return row.from_peer;
    case CopyRoute::kToPeer:
      return row.to_peer;
    case CopyRoute::kFromHost:
    case CopyRoute::kToHost:
      return kOverPcie;
  }
  return row.from_peer;
}

KernelChoice choose_kernel(std::span<const Page> ranges, const KernelTerms& terms) {
  PageSums sums;
  std::uint64_t count = 0;
  for (const Page& range : ranges) {
    if (range.size >= terms.least_engine_bytes) continue;
    sums.add(range);
    ++count;
  }
  return choose_kernel(sums, count, terms);
}

KernelChoice choose_kernel(const PageSums& sums, std::uint64_t count,
                           const KernelTerms& terms) {
  const std::uint64_t mean = count == 0 ? 0 : sums.bytes / count;
  const bool can_bulk = terms.has_bulk && are_for_bulk(sums);
  const bool has_room = terms.max_blocks == 0 || terms.max_blocks > kMostBulkWithinGpu;
  const bool is_of_host =
      terms.route == CopyRoute::kFromHost || terms.route == CopyRoute::kToHost;
  KernelChoice choice;
  choice.is_plain =
      !can_bulk || is_of_host ||
      (terms.route == CopyRoute::kWithinGpu && has_room && mean < kLeastBulkWithinGpu);
  choice.max_blocks = terms.max_blocks != 0
                          ? terms.max_blocks
                          : usual_blocks(mean, terms.route, !choice.is_plain);
  if (terms.multiprocessors > 0)
    choice.max_blocks =
        std::min(choice.max_blocks, static_cast<std::uint32_t>(terms.multiprocessors));
  return choice;
}

}  // namespace nixl_connect::paths::cuda
