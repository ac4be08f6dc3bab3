// SPDX-License-Identifier: Apache-2.0
//
// That the driver behaves as the stand-in does where GPU memory goes from one process
// to another: the first GPU's memory, reached by the last.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>

#include "paths/cuda/allocations.h"
#include "paths/cuda/devices.h"
#include "paths/cuda/exporter.h"
#include "paths/cuda/imports.h"
#include "paths/cuda/segment.h"
#include "paths/cuda/session.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using Export = DeviceAllocation::Export;

class GpuExport : public ::testing::Test {
 protected:
  void SetUp() override {
    const OpenedDriver opened = open_driver("");
    if (opened.driver == nullptr) GTEST_SKIP() << opened.why_not;
    const int last = static_cast<int>(find_devices(*opened.driver).size()) - 1;
    device_ = can_reach(*opened.driver, last, 0) ? last : 0;
    session_.emplace(device_);
    imports_.emplace(session_->driver, device_);
  }
  void TearDown() override {
    imports_.reset();
    session_.reset();
  }

  std::vector<std::byte> read(const Exporter::Exported& exported, std::size_t offset,
                              std::size_t size) {
    const auto mapping = imports_->open(exported.memory, exported.files);
    return session_->read(mapping->here(exported.memory.chunks[0].start + offset),
                          size);
  }

  CuDevice device_ = 0;
  std::optional<Session> session_;
  std::optional<Imports> imports_;
};

TEST_F(GpuExport, ReachesMemoryThatComesByHandle) {
  const Exporter exporter;
  const auto large = exporter.allocate(10'000'000, 7);
  ASSERT_TRUE(large.memory.handle);
  EXPECT_EQ(read(large, 0, 10'000'000), bytes_of(7, 10'000'000));
  EXPECT_EQ(read(large, 9'999'000, 1'000), bytes_of(7, 1'000));
}

// Several of these lie in one piece of what the driver takes at a time.
TEST_F(GpuExport, TellsSmallAllocationsApart) {
  const Exporter exporter;
  const auto first = exporter.allocate(1'000, 1);
  const auto second = exporter.allocate(1'000, 2);
  const auto third = exporter.allocate(5'000, 3);
  EXPECT_EQ(read(second, 0, 1'000), bytes_of(2, 1'000));
  EXPECT_EQ(read(third, 0, 5'000), bytes_of(3, 5'000));
  EXPECT_EQ(read(first, 0, 1'000), bytes_of(1, 1'000));
}

TEST_F(GpuExport, MapsFilesSideBySide) {
  const Exporter exporter;
  const auto exported = exporter.map(3, 20);
  ASSERT_EQ(exported.files.size(), 3U);
  auto expected = bytes_of(21, 20);
  std::fill_n(expected.begin(), 10, std::byte{20});
  EXPECT_EQ(read(exported, Segment::kChunk - 10, 20), expected);
  EXPECT_EQ(read(exported, 3 * Segment::kChunk - 1, 1), bytes_of(22, 1));
}

// As a Connector does, of what torch's expandable segments come to for a large tensor.
TEST_F(GpuExport, OpensHundredsOfChunksOneByOne) {
  constexpr std::size_t kChunks = 300;
  const Exporter exporter;
  auto exported = exporter.map(kChunks, 0);
  std::vector<Imports::Mapping> mappings;
  for (std::size_t i = 0; i < kChunks; ++i) {
    ForeignMemory chunk{exported.memory.owner, {exported.memory.chunks[i]}, {}};
    mappings.push_back(imports_->open(chunk, {&exported.files[i], 1}));
    exported.files[i] = {};
  }
  for (std::size_t i = 0; i < kChunks; ++i) {
    const auto value = static_cast<unsigned char>(i);
    const CuDevicePointer start = mappings[i]->here(exported.memory.chunks[i].start);
    EXPECT_EQ(session_->read(start + Segment::kChunk - 100, 100), bytes_of(value, 100))
        << i;
  }
}

// On which all rests that is kept open: by the buffer id it is told from what was there
// before.
TEST_F(GpuExport, TellsWhatIsMappedAnewUnderItsAddressFromWhatWasThere) {
  const Driver& driver = session_->driver;
  const Functions& functions = driver.functions;
  const Segment segment(driver, device_, 3, kCuHandlePosixFd);
  const auto before = find_allocation(driver, segment.start(), segment.size());
  ASSERT_TRUE(before);
  ASSERT_EQ(before->chunks.size(), 3U);
  for (const MemoryChunk& chunk : before->chunks)
    EXPECT_GE(export_file(driver, chunk).get(), 0);

  const CuDevicePointer second = segment.start() + Segment::kChunk;
  const CuAllocationProperties properties{.handle_types = kCuHandlePosixFd,
                                          .location = {.id = device_}};
  const CuAccess access{.location = {.id = device_}};
  CuAllocation made = 0;
  driver.check(functions.mem_unmap(second, Segment::kChunk), "unmapping");
  EXPECT_EQ(export_file(driver, before->chunks[1]).get(), -1) << "there is nothing";
  driver.check(functions.mem_create(&made, Segment::kChunk, &properties, 0), "making");
  driver.check(functions.mem_map(second, Segment::kChunk, 0, made, 0), "mapping");
  driver.check(functions.mem_release(made), "leaving it to the mapping");
  driver.check(functions.mem_set_access(second, Segment::kChunk, &access, 1),
               "allowing");

  EXPECT_FALSE(is_unchanged(driver, *before));
  EXPECT_TRUE(is_unchanged(driver, before->chunks[0]));
  EXPECT_FALSE(is_unchanged(driver, before->chunks[1]));
  EXPECT_EQ(export_file(driver, before->chunks[1]).get(), -1);
  const auto after = find_allocation(driver, segment.start(), segment.size());
  ASSERT_TRUE(after);
  EXPECT_EQ(after->chunks[0], before->chunks[0]);
  EXPECT_NE(after->chunks[1].buffer_id, before->chunks[1].buffer_id);
  EXPECT_LT(after->chunks[1].buffer_id, std::uint64_t{1} << 63) << "it has a name";
  EXPECT_GE(export_file(driver, after->chunks[1]).get(), 0);
}

TEST_F(GpuExport, OpensNewMemoryUnderAnAddressThatWasFreed) {
  const Exporter exporter;
  for (unsigned round = 0; round < 20; ++round) {
    const auto exported = exporter.allocate(8 << 20, round);
    const auto value = static_cast<unsigned char>(round);
    EXPECT_EQ(read(exported, 0, 5'000), bytes_of(value, 5'000)) << round;
    exporter.free();
  }
}

TEST_F(GpuExport, LeavesWhatIsInUseWhenTheOwnerGoes) {
  Exporter exporter;
  const auto exported = exporter.allocate(8 << 20, 8);
  const auto in_use = imports_->open(exported.memory);
  exporter.kill();
  imports_->drop(exported.memory.owner);
  EXPECT_EQ(session_->read(in_use->here(exported.memory.chunks[0].start), 100),
            bytes_of(8, 100));
}

TEST_F(GpuExport, KnowsWhatMemoryIs) {
  const Driver& driver = session_->driver;
  alignas(4096) static std::array<std::byte, 4096> host{};
  EXPECT_FALSE(
      find_allocation(driver, reinterpret_cast<std::uintptr_t>(host.data()), 10));
  const DeviceMemory memory = allocate(driver, 5 << 20);
  const auto allocated = find_allocation(driver, memory.get() + 100, 1000);
  ASSERT_TRUE(allocated);
  EXPECT_EQ(allocated->device, device_);
  EXPECT_EQ(allocated->exported_by, Export::kIpcHandle);
  EXPECT_EQ(allocated->start(), memory.get());
  EXPECT_EQ(allocated->size(), std::uint64_t{5} << 20);
  EXPECT_TRUE(is_unchanged(driver, *allocated));
  const Segment segment(driver, device_, 3, kCuHandlePosixFd);
  const auto mapped = find_allocation(driver, segment.start() + 1, segment.size() - 1);
  ASSERT_TRUE(mapped);
  EXPECT_EQ(mapped->exported_by, Export::kFiles);
  ASSERT_EQ(mapped->chunks.size(), 3U);
  EXPECT_NE(mapped->chunks[0].buffer_id, mapped->chunks[1].buffer_id);
  const Segment closed(driver, device_, 1, kCuHandleNone);
  const auto kept = find_allocation(driver, closed.start(), 1);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->exported_by, Export::kNone);
  EXPECT_TRUE(kept->why_not.starts_with("mapped memory")) << kept->why_not;
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
