// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/imports.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "nixl_connect/error.h"
#include "paths/cuda/exporter.h"
#include "paths/cuda/segment.h"
#include "paths/cuda/stand_in_fixture.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

// The exporter has the first GPU, this process uses the second.
class ImportsTest : public StandInTest {
 protected:
  Imports::Mapping open(const Exporter::Exported& exported) {
    return imports_.open(exported.memory, exported.files);
  }
  std::vector<std::byte> read(const Exporter::Exported& exported, std::size_t offset,
                              std::size_t size) {
    const auto mapping = open(exported);
    return session_.read(mapping->here(exported.memory.chunks[0].start + offset), size);
  }
  template <typename Call>
  static ErrorKind kind_of(Call call) {
    try {
      call();
    } catch (const Error& error) {
      return error.kind();
    }
    ADD_FAILURE() << "went well";
    return ErrorKind::kInternal;
  }

  const Session session_{1};
  Imports imports_{session_.driver, 1, 2};
  const std::size_t mappings_before_ = stand_in::mappings();
  Exporter exporter_;
};

TEST_F(ImportsTest, ReachMemoryThatComesByHandle) {
  const auto exported = exporter_.allocate(10'000, 7);
  EXPECT_EQ(read(exported, 0, 10'000), bytes_of(7, 10'000));
  EXPECT_EQ(read(exported, 9'000, 1'000), bytes_of(7, 1'000));
}

TEST_F(ImportsTest, MapFilesSideBySide) {
  const auto exported = exporter_.map(3, 20);
  ASSERT_EQ(exported.files.size(), 3U);
  auto expected = bytes_of(21, 20);
  std::fill_n(expected.begin(), 10, std::byte{20});
  EXPECT_EQ(read(exported, Segment::kChunk - 10, 20), expected);
  EXPECT_EQ(read(exported, 3 * Segment::kChunk - 1, 1), bytes_of(22, 1));
  EXPECT_EQ(stand_in::mappings(), mappings_before_ + 3);
}

TEST_F(ImportsTest, KeepWhatIsOpen) {
  const auto allocated = exporter_.allocate(100, 1);
  const auto mapped = exporter_.map(2, 1);
  EXPECT_EQ(imports_.find(allocated.memory), nullptr);
  const auto first = open(allocated);
  const auto second = open(mapped);
  EXPECT_EQ(open(allocated), first);
  EXPECT_EQ(imports_.find(mapped.memory), second);
  EXPECT_EQ(stand_in::calls("cuIpcOpenMemHandle"), 1U);
  EXPECT_EQ(stand_in::calls("cuMemAddressReserve"), 1U);
}

TEST_F(ImportsTest, OpenNewMemoryUnderAnAddressThatWasFreed) {
  const auto before = exporter_.allocate(3'000, 1);
  EXPECT_EQ(read(before, 0, 3'000), bytes_of(1, 3'000));
  exporter_.free();
  const auto after = exporter_.allocate(3'000, 2);
  ASSERT_EQ(after.memory.chunks[0].start, before.memory.chunks[0].start);
  EXPECT_EQ(read(after, 0, 3'000), bytes_of(2, 3'000));
  EXPECT_EQ(imports_.size(), 1U);
}

TEST_F(ImportsTest, RefuseNewMemoryWhileTheOldIsInUse) {
  auto in_use = open(exporter_.allocate(3'000, 1));
  exporter_.free();
  const auto after = exporter_.allocate(3'000, 2);
  EXPECT_EQ(kind_of([&] { open(after); }), ErrorKind::kNoResources);
  in_use = nullptr;
  EXPECT_EQ(read(after, 0, 3'000), bytes_of(2, 3'000));
}

TEST_F(ImportsTest, KeepTensorsThatShareAChunk) {
  auto whole = exporter_.map(3, 5);
  Exporter::Exported part{whole.memory, {}};
  part.memory.chunks = {whole.memory.chunks[1], whole.memory.chunks[2]};
  part.files.push_back(std::move(whole.files[1]));
  part.files.push_back(std::move(whole.files[2]));
  const auto of_part = open(part);
  whole.files[1] = base::UniqueFd(::dup(part.files[0].get()));
  whole.files[2] = base::UniqueFd(::dup(part.files[1].get()));
  open(whole);
  EXPECT_EQ(imports_.find(part.memory), of_part);
}

TEST_F(ImportsTest, ForgetWhatWasNotUsedForLongest) {
  const auto first = exporter_.allocate(100, 1);
  const auto second = exporter_.allocate(200, 2);
  const auto third = exporter_.allocate(300, 3);
  open(first);
  open(second);
  open(first);
  open(third);
  EXPECT_EQ(imports_.size(), 2U);
  EXPECT_EQ(stand_in::mappings(), mappings_before_ + 2);
  EXPECT_NE(imports_.find(first.memory), nullptr);
  EXPECT_EQ(imports_.find(second.memory), nullptr);
}

TEST_F(ImportsTest, LeaveWhatIsInUseWhenTheOwnerGoes) {
  const Exporter other;
  const auto others = other.allocate(100, 9);
  const auto exported = exporter_.allocate(100, 8);
  open(others);
  auto in_use = open(exported);
  exporter_.kill();
  imports_.drop(exported.memory.owner);
  EXPECT_EQ(imports_.find(exported.memory), nullptr);
  EXPECT_NE(imports_.find(others.memory), nullptr);
  EXPECT_EQ(session_.read(in_use->here(exported.memory.chunks[0].start), 100),
            bytes_of(8, 100));
  in_use = nullptr;
  EXPECT_EQ(stand_in::mappings(), mappings_before_ + 1);
}

TEST_F(ImportsTest, LeaveNothingBehindWhenAStepFails) {
  const auto exported = exporter_.map(3, 1);
  stand_in::fail("cuMemMap", kCuOutOfMemory, 1);
  EXPECT_EQ(kind_of([&] { open(exported); }), ErrorKind::kNoResources);
  EXPECT_EQ(stand_in::calls("cuMemAddressFree"), 1U);
  EXPECT_EQ(stand_in::mappings(), mappings_before_);
  stand_in::fail("cuMemSetAccess", kCuNotSupported);
  EXPECT_EQ(kind_of([&] { open(exported); }), ErrorKind::kUnsupported);
  EXPECT_EQ(stand_in::mappings(), mappings_before_);
  EXPECT_EQ(read(exported, 0, 1), bytes_of(1, 1));
}

TEST_F(ImportsTest, CloseWhateverContextIsCurrent) {
  auto mapping = open(exporter_.allocate(100, 1));
  imports_.drop(exporter_.instance());
  const Session other(0);
  mapping = nullptr;
  EXPECT_EQ(stand_in::mappings(), mappings_before_);
  CuContext current = nullptr;
  other.functions.context_get_current(&current);
  EXPECT_EQ(current, other.context());
}

TEST_F(ImportsTest, RefuseWhatIsNotAsItsOwnerSays) {
  auto exported = exporter_.allocate(100, 1);
  exported.memory.chunks[0].size = 1 << 20;
  EXPECT_EQ(kind_of([&] { open(exported); }), ErrorKind::kUnsupported);
  exported.memory.chunks[0].size = ~std::uint64_t{0};
  EXPECT_EQ(kind_of([&] { open(exported); }), ErrorKind::kInvalidArgument);
  auto mapped = exporter_.map(2, 1);
  mapped.memory.chunks[1].start += Segment::kChunk;
  EXPECT_EQ(kind_of([&] { open(mapped); }), ErrorKind::kInvalidArgument);
  mapped.files.pop_back();
  EXPECT_EQ(kind_of([&] { open(mapped); }), ErrorKind::kInvalidArgument);
  EXPECT_EQ(stand_in::mappings(), mappings_before_);
}

TEST_F(ImportsTest, SayThatAnExporterIsGone) {
  const auto exported = exporter_.allocate(100, 1);
  exporter_.kill();
  EXPECT_THROW(open(exported), Error);
  EXPECT_EQ(imports_.size(), 0U);
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
