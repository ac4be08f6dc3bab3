// SPDX-License-Identifier: Apache-2.0
#include "gpu/host_copy_bench.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "paths/cuda/copy_owner.h"
#include "paths/cuda/host_arena.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using Clock = std::chrono::steady_clock;
using HostSide = CopyWork::HostSide;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Side by side on neither side.
CopyWork work_of(const HostMap& map, CuDevicePointer gpu, HostSide side,
                 std::size_t size, std::size_t page) {
  const auto host = reinterpret_cast<std::uintptr_t>(map.memory->data());
  CopyWork work;
  work.host_side = side;
  work.host_maps.push_back(map);
  work.route = side == HostSide::kSources ? CopyRoute::kFromHost : CopyRoute::kToHost;
  for (std::size_t at = 0; at < size; at += page) {
    const std::size_t other = size - at - page;
    work.ranges.push_back(side == HostSide::kSources
                              ? Page{host + at, gpu + other, page}
                              : Page{gpu + other, host + at, page});
  }
  return work;
}

void measure(Owner& owner, const HostMap& map, CuDevicePointer gpu, std::size_t size,
             std::size_t page) {
  for (const HostSide side : {HostSide::kSources, HostSide::kTargets}) {
    std::vector<double> times;
    for (int round = 0; round < 21; ++round) {
      CopyWork work = work_of(map, gpu, side, size, page);
      const auto start = Clock::now();
      if (!owner.copy(std::move(work))->is_complete()) return;
      times.push_back(seconds_since(start));
    }
    std::sort(times.begin(), times.end());
    const double median = times[times.size() / 2];
    std::printf("%11zu bytes in pages of %10zu, %s: %9.1f us %6.1f GB/s\n", size, page,
                side == HostSide::kSources ? "to the GPU  " : "from the GPU",
                1e6 * median, 1e-9 * static_cast<double>(size) / median);
  }
}

}  // namespace

void measure_host_copies() {
  constexpr std::size_t kMiB = 1 << 20;
  constexpr std::size_t kMost = 1 << 30;
  if (open_driver("").driver == nullptr) return;
  const Session session;
  const HostArena arena(kMost);
  std::fill_n(arena.data(), kMost, std::byte{1});
  const HostMap map = arena.map();
  const DeviceMemory gpu = allocate(session.driver, kMost);
  Owner owner(page_kernel_image());
  const auto start = Clock::now();
  owner.copy(work_of(map, gpu.get(), HostSide::kSources, kMiB, kMiB));
  std::printf("pinning 1 GiB and all else that the first copy takes: %.1f ms\n",
              1e3 * seconds_since(start));
  for (const std::size_t size : {4096UL, 65536UL, kMiB, 16 * kMiB, kMost})
    measure(owner, map, gpu.get(), size, size);
  for (const std::size_t page : {4096UL, 16384UL, 65536UL, 262144UL, kMiB})
    measure(owner, map, gpu.get(), 256 * kMiB, page);
}

}  // namespace nixl_connect::paths::cuda::testing
