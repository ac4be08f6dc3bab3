// SPDX-License-Identifier: Apache-2.0
//
// That GPUs and plain memory of the host exchange bytes as with the stand-in, and how
// fast eight threads are at it.
#include "paths/cuda/staged_copy.h"

#include <gtest/gtest.h>

#include "gpu/staged_copy_bench.h"
#include "paths/cuda/copy_owner.h"
#include "paths/cuda/staged_copies.h"
#include "paths/host/exposing_process.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using host::testing::ExposingProcess;

constexpr Direction kBothWays[] = {Direction::kToGpu, Direction::kFromGpu};

class GpuStagedCopies : public ::testing::Test {
 protected:
  void SetUp() override {
    const OpenedDriver opened = open_driver("");
    if (opened.driver == nullptr) GTEST_SKIP() << opened.why_not;
  }

  // Both sides are compared as a whole.
  static void expect_moved(const std::vector<Place>& places, const void* image) {
    const Session session;
    const std::size_t size = size_for(places);
    const DeviceMemory gpu = allocate(session.driver, size);
    StagedCopies copies(4, std::make_shared<Staging>(session.driver, image));
    for (const Direction direction : kBothWays) {
      auto on_host = random_content(size, 1);
      const auto on_gpu = random_content(size, 2);
      session.write(gpu.get(), on_gpu);
      const bool is_up = direction == Direction::kToGpu;
      const auto source = is_up ? on_host : on_gpu;
      const auto expected = moved(places, direction, source, is_up ? on_gpu : on_host);
      const auto address = reinterpret_cast<std::uintptr_t>(on_host.data());
      const auto copy = copies.copy({.direction = direction, .move_host = own_memory()},
                                    ranges_of(places, gpu.get(), address, false));
      EXPECT_TRUE(copy->is_complete()) << copy->cause().text;
      const auto now_on_gpu = session.read(gpu.get(), size);
      EXPECT_TRUE((is_up ? now_on_gpu : on_host) == expected);
      EXPECT_TRUE((is_up ? on_host : now_on_gpu) == source);
    }
  }
};

TEST_F(GpuStagedCopies, MoveRangesOfAnySizeAndAlignment) {
  for (const std::size_t size : {1, 127, 4096, 524'287, 524'289, 4'718'605})
    for (const std::size_t offset : {0, 1, 127})
      expect_moved({{offset, 3 * offset, size}}, nullptr);
}

TEST_F(GpuStagedCopies, MoveThousandsOfRanges) {
  for (const std::size_t largest : {40, 900, 20'000}) {
    expect_moved(scattered(3000, largest), page_kernel_image());
    expect_moved(scattered(3000, largest), nullptr);
  }
}

TEST_F(GpuStagedCopies, MoveMemoryOfAnotherProcess) {
  const auto places = scattered(3000, 5000);
  const std::size_t size = size_for(places);
  const ExposingProcess peer(size, host::testing::fill);
  const Session session;
  const DeviceMemory gpu = allocate(session.driver, size);
  auto expected = bytes_of(0, size);
  for (const Place& each : places)
    for (std::size_t i = 0; i < each.size; ++i)
      expected[each.gpu + i] = host::testing::pattern(each.host + i);
  session.fill(gpu.get(), 0, size);
  StagedCopies copies(4, std::make_shared<Staging>(session.driver));
  const auto ranges = ranges_of(places, gpu.get(), peer.address(), true);
  const auto work = [&](Direction direction) {
    return StagedWork{.is_gpu_local = true,
                      .direction = direction,
                      .move_host = memory_of(peer.lease())};
  };
  const auto read = copies.copy(work(Direction::kToGpu), ranges);
  EXPECT_TRUE(read->is_complete()) << read->cause().text;
  EXPECT_TRUE(session.read(gpu.get(), size) == expected);
  session.fill(gpu.get(), 9, size);
  const auto written = copies.copy(work(Direction::kFromGpu), ranges);
  EXPECT_TRUE(written->is_complete()) << written->cause().text;
  const auto again = copies.copy(work(Direction::kToGpu), ranges);
  EXPECT_TRUE(again->is_complete()) << again->cause().text;
  EXPECT_TRUE(session.read(gpu.get(), size) == bytes_of(9, size));
}

// Not judged: what else the machine does is not known here.
TEST_F(GpuStagedCopies, TellHowFastTheyAre) {
  const StagedRates rates = measure_staged_copies({.threads = 8});
  std::printf(
      "1 GiB, 8 threads, GB/s: own memory -> GPU %.1f, GPU -> own memory %.1f, "
      "memory of another process -> GPU %.1f, GPU -> that %.1f\n",
      rates.own_to_gpu, rates.gpu_to_own, rates.peer_to_gpu, rates.gpu_to_peer);
  EXPECT_GT(std::min({rates.own_to_gpu, rates.gpu_to_own, rates.peer_to_gpu,
                      rates.gpu_to_peer}),
            0);
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
