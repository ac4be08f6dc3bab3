// SPDX-License-Identifier: Apache-2.0
//
// That the CUDA thread does with GPUs what it does with the stand-in.
#include "paths/cuda/copy_thread.h"

#include <utility>

#include "paths/cuda/copy_owner.h"
#include "paths/cuda/devices.h"
#include "paths/cuda/exporter.h"
#include "paths/cuda/segment.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

class GpuCopies : public ::testing::Test {
 protected:
  void SetUp() override {
    const OpenedDriver opened = open_driver("");
    if (opened.driver == nullptr) GTEST_SKIP() << opened.why_not;
  }

  // By the last GPU, if it reaches the first, which has the memory.
  static CuDevice reader() {
    const Driver& driver = driver_under_test();
    const int last = static_cast<int>(find_devices(driver).size()) - 1;
    return can_reach(driver, last, 0) ? last : 0;
  }
  static void expect_complete(const DeviceCopy& copy) {
    EXPECT_TRUE(copy.is_complete())
        << (copy.failure() ? copy.failure()->message : "stopped");
  }
  // What the exporter has, each byte of which is `value`.
  static void expect_read(Exporter::Exported exported, unsigned char value,
                          std::size_t size) {
    const CuDevice device = reader();
    const Session session(device);
    const DeviceMemory target = allocate(session.driver, size);
    CopyWork work{.device = device, .foreign_side = CopyWork::Foreign::kSources};
    const CuDevicePointer start = exported.memory.chunks[0].start;
    for (std::size_t done = 0; done + 1000 <= size; done += 1000)
      work.ranges.push_back({start + done, target.get() + size - done - 1000, 1000});
    work.foreign.push_back(
        {std::move(exported.memory), std::move(exported.files), nullptr});
    Owner owner(page_kernel_image());
    expect_complete(*owner.copy(std::move(work)));
    EXPECT_EQ(session.read(target.get(), size), bytes_of(value, size));
  }
};

TEST_F(GpuCopies, MoveRangesOfAnySizeAndAlignment) {
  const Session session;
  Owner owner(page_kernel_image());
  for (const std::size_t largest : {31, 5'000, 200'000}) {
    const Scattered by_kernel(session, 500, largest);
    expect_complete(*owner.copy(by_kernel.work()));
    EXPECT_TRUE(by_kernel.has_arrived()) << largest;
    const Scattered by_engine(session, 500, largest, 2);
    expect_complete(*owner.copy(batches_of(by_engine)));
    EXPECT_TRUE(by_engine.has_arrived()) << largest;
  }
}

TEST_F(GpuCopies, ReadMemoryThatComesByHandle) {
  const Exporter exporter;
  expect_read(exporter.allocate(1'000'000, 7), 7, 1'000'000);
}

// Each is a mapping of its own, somewhere else.
TEST_F(GpuCopies, CutRangesAtTheBordersOfChunksThatAreOpenedApart) {
  constexpr std::size_t kChunks = 3;
  constexpr std::size_t kSize = kChunks * Segment::kChunk - 2'000;
  const Exporter exporter;
  auto exported = exporter.map(kChunks, 30);
  const CuDevice device = reader();
  const Session session(device);
  Owner owner(page_kernel_image());
  CopyWork opening{.device = device};
  for (std::size_t i = 0; i < kChunks; ++i) {
    auto& part = opening.foreign.emplace_back();
    part.memory = {exported.memory.owner, {exported.memory.chunks[i]}, {}};
    part.files.push_back(std::move(exported.files[i]));
  }
  const auto opened = owner.copy(std::move(opening));
  expect_complete(*opened);
  ASSERT_EQ(opened->opened().size(), kChunks);

  auto expected = bytes_of(31, kSize);
  std::fill_n(expected.begin(), Segment::kChunk - 1'000, std::byte{30});
  std::fill_n(expected.end() - (Segment::kChunk - 1'000), Segment::kChunk - 1'000,
              std::byte{32});
  // By a copy engine, and by the kernel.
  for (const std::size_t range : {kSize, std::size_t{3'001}}) {
    const DeviceMemory target = allocate(session.driver, kSize);
    session.fill(target.get(), 0, kSize);
    CopyWork work{.device = device, .foreign_side = CopyWork::Foreign::kSources};
    const CuDevicePointer start = exported.memory.chunks[0].start + 1'000;
    // Backwards, so that they are not made one.
    for (std::size_t end = kSize; end > 0; end -= std::min(range, end)) {
      const std::size_t size = std::min(range, end);
      work.ranges.push_back({start + end - size, target.get() + end - size, size});
    }
    for (std::size_t i = 0; i < kChunks; ++i) {
      auto& part = work.foreign.emplace_back();
      part.memory = {exported.memory.owner, {exported.memory.chunks[i]}, {}};
      part.opened = opened->opened()[i];
    }
    expect_complete(*owner.copy(std::move(work)));
    EXPECT_EQ(session.read(target.get(), kSize), expected) << range;
  }
}

TEST_F(GpuCopies, ReadMemoryThatComesByFiles) {
  const Exporter exporter;
  expect_read(exporter.map(1, 9), 9, 1'000'000);
}

TEST_F(GpuCopies, LetOneGpuReachAnother) {
  const CuDevice device = reader();
  if (device == 0) GTEST_SKIP() << "no second GPU";
  const Session far(0);
  const DeviceMemory source = allocate(far.driver, 100'000);
  far.fill(source.get(), 3, 100'000);
  const Session near(device);
  const DeviceMemory target = allocate(near.driver, 100'000);
  CopyWork work{.device = device, .peers = {0}};
  for (std::size_t i = 0; i < 100; ++i)
    work.ranges.push_back(
        {source.get() + i * 1000, target.get() + (99 - i) * 1000, 1000});
  Owner owner(page_kernel_image());
  expect_complete(*owner.copy(std::move(work)));
  EXPECT_EQ(near.read(target.get(), 100'000), bytes_of(3, 100'000));
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
