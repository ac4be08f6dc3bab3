// SPDX-License-Identifier: Apache-2.0
#include "gpu/staged_copy_bench.h"

#include <sys/mman.h>

#include <chrono>
#include <cstdio>
#include <cstring>

#include "paths/cuda/staged_copies.h"
#include "paths/host/exposing_process.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using host::testing::ExposingProcess;

constexpr int kRounds = 5;

std::vector<Place> places_of(const StagedSetting& setting) {
  if (setting.range_bytes == 0) return {{0, 0, setting.bytes}};
  // From the front on the one side, from the back on the other.
  std::vector<Place> places;
  const std::size_t count = setting.bytes / setting.range_bytes;
  for (std::size_t i = 0; i < count; ++i)
    places.push_back({(count - 1 - i) * setting.range_bytes, i * setting.range_bytes,
                      setting.range_bytes});
  return places;
}

void touch(const host::testing::Pages& memory, bool has_huge_pages) {
  ::madvise(memory.data(), memory.size(),
            has_huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  std::memset(memory.data(), 1, memory.size());
}

double rate(StagedCopies& copies, const StagedWork& work, const host::Ranges& ranges) {
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    const auto copy = copies.copy(work, ranges);
    const std::chrono::duration<double> taken =
        std::chrono::steady_clock::now() - start;
    if (!copy->is_complete()) {
      std::printf("%s\n", copy->cause().text.c_str());
      return 0;
    }
    best = std::max(best, static_cast<double>(copy->bytes()) / taken.count() / 1e9);
  }
  return best;
}

}  // namespace

StagedRates measure_staged_copies(const StagedSetting& setting) {
  const Session session;
  const auto places = places_of(setting);
  const DeviceMemory gpu = allocate(session.driver, setting.bytes);
  StagedCopies copies(setting.threads,
                      std::make_shared<Staging>(session.driver, page_kernel_image(),
                                                setting.slot_bytes));
  StagedRates rates;
  {
    const host::testing::Pages own(setting.bytes);
    touch(own, setting.has_huge_pages);
    const auto ranges = ranges_of(places, gpu.get(), own.address(), false);
    StagedWork work{.move_host = own_memory(setting.bytes >= 32 << 20)};
    rates.own_to_gpu = rate(copies, work, ranges);
    work.direction = Direction::kFromGpu;
    rates.gpu_to_own = rate(copies, work, ranges);
  }
  const ExposingProcess peer(setting.bytes, [&](const host::testing::Pages& memory) {
    touch(memory, setting.has_huge_pages);
  });
  const auto ranges = ranges_of(places, gpu.get(), peer.address(), true);
  StagedWork work{.is_gpu_local = true, .move_host = memory_of(peer.lease())};
  rates.peer_to_gpu = rate(copies, work, ranges);
  work.direction = Direction::kFromGpu;
  rates.gpu_to_peer = rate(copies, work, ranges);
  return rates;
}

void measure_staged_copies() {
  const auto row = [](const char* what, const StagedSetting& setting) {
    const StagedRates rates = measure_staged_copies(setting);
    std::printf("%-28s | %7u | %9zu | %10.1f | %10.1f | %11.1f | %11.1f\n", what,
                setting.threads, setting.slot_bytes >> 10, rates.own_to_gpu,
                rates.gpu_to_own, rates.peer_to_gpu, rates.gpu_to_peer);
    std::fflush(stdout);
  };
  std::printf(
      "GB/s                         | threads | slot KiB  | own -> GPU | "
      "GPU -> own | peer -> GPU | GPU -> peer\n");
  for (const std::size_t slot : {128 << 10, 256 << 10, 512 << 10, 1 << 20, 4 << 20})
    row("1 GiB", {.slot_bytes = slot});
  for (const unsigned threads : {1, 2, 4, 16}) row("1 GiB", {.threads = threads});
  row("1 GiB, small pages", {.has_huge_pages = false});
  for (const std::size_t bytes : {64 << 20, 4 << 20, 1 << 20, 64 << 10, 4 << 10})
    row((std::to_string(bytes >> 10) + " KiB").c_str(), {.bytes = bytes});
  for (const std::size_t range : {4 << 10, 64 << 10, 1 << 20})
    row(("256 MiB of " + std::to_string(range >> 10) + " KiB ranges").c_str(),
        {.bytes = 256 << 20, .range_bytes = range});
}

}  // namespace nixl_connect::paths::cuda::testing
