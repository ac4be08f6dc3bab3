// SPDX-License-Identifier: Apache-2.0
#include "gpu/page_copy_bench.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <numeric>
#include <random>

#include "gpu/gpu.h"
#include "paths/cuda/kernel_choice.h"
#include "paths/cuda/page_kernel_image.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using Way = PageCopyOptions::Way;
using ListPlace = PageCopyOptions::ListPlace;

constexpr std::size_t kPool = std::size_t{2} << 30;
constexpr int kRounds = 9;

// Of whole rounds, until the host has seen the end of each.
double median_seconds(const std::function<void()>& begin) {
  std::vector<double> seconds;
  for (int round = -2; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    begin();
    finish();
    const std::chrono::duration<double> taken =
        std::chrono::steady_clock::now() - start;
    if (round >= 0) seconds.push_back(taken.count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + kRounds / 2, seconds.end());
  return seconds[kRounds / 2];
}

// In an order that has nothing to do with where they are.
std::vector<Page> scattered(std::size_t count, std::size_t size, CuDevicePointer source,
                            CuDevicePointer target) {
  std::mt19937_64 random(size);
  std::vector<std::size_t> from(kPool / size);
  std::iota(from.begin(), from.end(), 0);
  std::vector<std::size_t> to = from;
  std::shuffle(from.begin(), from.end(), random);
  std::shuffle(to.begin(), to.end(), random);
  std::vector<Page> pages;
  for (std::size_t i = 0; i < count; ++i)
    pages.push_back({source + from[i] * size, target + to[i] * size, size});
  return pages;
}

CopyRoute copy_route(const Route& route) {
  if (route.source == route.target) return CopyRoute::kWithinGpu;
  return route.target == 0 ? CopyRoute::kFromPeer : CopyRoute::kToPeer;
}

struct Bench {
  const Gpu& gpu = *Machine::instance().gpus[0];
  const Functions& functions = Machine::instance().driver.functions;

  double rate(const std::vector<Page>& pages, const PageCopyOptions& options) const {
    const double bytes =
        static_cast<double>(pages.size()) * static_cast<double>(pages[0].size);
    const double seconds =
        median_seconds([&] { gpu.kernel->copy(gpu.stream.get(), pages, options); });
    return bytes / seconds / 1e9;
  }

  double copy_rate(const std::vector<Page>& pages, CuDevicePointer source,
                   CuDevicePointer target) const {
    const std::size_t bytes = pages.size() * pages[0].size;
    return static_cast<double>(bytes) / 1e9 / median_seconds([&] {
             Machine::instance().driver.check(
                 functions.memcpy_dtod_async(target, source, bytes, gpu.stream.get()),
                 "copying");
           });
  }

  void print_row(const Route& route, std::size_t count, std::size_t size,
                 CuDevicePointer source, CuDevicePointer target) const {
    const auto pages = scattered(count, size, source, target);
    std::printf("%-9s %5zu x %3zu KiB | %7.1f |", route.name, count, size >> 10,
                copy_rate(pages, source, target));
    for (const Way way : {Way::kBulk, Way::kPlain}) {
      for (const std::uint32_t blocks : {8U, 16U, 32U, 64U, 132U})
        std::printf(" %7.1f", rate(pages, {.max_blocks = blocks, .way = way}));
      std::printf(" |");
    }
    for (const Way way : {Way::kBulk, Way::kPlain})
      std::printf(
          " %7.1f",
          rate(pages, {.max_blocks = 64, .way = way, .list_place = ListPlace::kHost}));
    const KernelChoice usual = choose_kernel(
        pages,
        {copy_route(route), 0, gpu.facts.multiprocessors, gpu.kernel->has_bulk()});
    std::printf(" | %7.1f by %3u%s",
                rate(pages, {.max_blocks = usual.max_blocks,
                             .way = usual.is_plain ? Way::kPlain : Way::kAuto}),
                usual.max_blocks, usual.is_plain ? ", plain" : "");
    std::printf("\n");
    std::fflush(stdout);
  }
};

}  // namespace

void measure_page_copies() {
  if (const std::string reason = Machine::why_not(); !reason.empty()) {
    std::printf("nothing measured: %s\n", reason.c_str());
    return;
  }
  if (!has_page_kernel()) return;
  const Bench bench;
  std::printf(
      "%s, GB/s, median of %d, from the call until the host has seen the end\n"
      "route     pages           |  1 copy |  bulk, at most 8, 16, 32, 64, 132 blocks  "
      " "
      "|  plain, likewise                         | list on host, 64 blocks: bulk, "
      "plain | as usual\n",
      bench.gpu.facts.name.c_str(), kRounds);
  for (const Route& route : routes()) {
    const auto source = allocate_on(route.source, kPool);
    const auto target = allocate_on(route.target, kPool);
    for (const std::size_t count : {16, 256, 4096})
      for (const std::size_t size : {4096, 16384, 65536, 262144})
        bench.print_row(route, count, size, source.get(), target.get());
  }
}

}  // namespace nixl_connect::paths::cuda::testing
