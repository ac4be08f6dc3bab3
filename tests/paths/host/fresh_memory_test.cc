// SPDX-License-Identifier: Apache-2.0
#include "paths/host/fresh_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "base/shared_memory.h"
#include "paths/host/exposing_process.h"
#include "paths/host/own_mappings.h"
#include "paths/host/own_pages.h"

namespace nixl_connect::paths::host {
namespace {

using nixl_connect::testing::mode_of_huge_pages;
using nixl_connect::testing::pages_of_mapping;
using testing::Pages;

constexpr std::size_t kSize = 32 << 20;

Descriptor descriptor(std::uintptr_t address, std::size_t size) {
  return {reinterpret_cast<std::byte*>(address), size};
}

std::uintptr_t next_huge_page(std::uintptr_t address) {
  return (address / kHugePageBytes + 1) * kHugePageBytes;
}

// Memory in whose first 24 MiB huge pages begin and end anywhere.
class FreshMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string mode = mode_of_huge_pages(); mode != "madvise")
      GTEST_SKIP() << "huge pages are not given to whom asks: " << mode;
  }

  const Pages memory_{kSize};
  const std::uintptr_t begin_ = next_huge_page(memory_.address());
};

TEST_F(FreshMemory, IsAdvisedInsideAndNowhereElse) {
  const std::uintptr_t target = begin_ + 4096 + 16;
  const std::array targets{descriptor(target, 8 << 20)};
  prepare(targets);
  EXPECT_FALSE(pages_of_mapping(target).is_advised);
  EXPECT_FALSE(pages_of_mapping(begin_ + kHugePageBytes - 1).is_advised);
  EXPECT_TRUE(pages_of_mapping(begin_ + kHugePageBytes).is_advised);
  EXPECT_TRUE(pages_of_mapping(begin_ + 4 * kHugePageBytes - 1).is_advised);
  EXPECT_FALSE(pages_of_mapping(begin_ + 4 * kHugePageBytes).is_advised);
}

TEST_F(FreshMemory, NeighboursCountAsOne) {
  std::vector<Descriptor> targets;
  for (std::size_t i = 0; i < 2048; ++i)
    targets.push_back(descriptor(begin_ + i * 4096, 4096));
  prepare(targets);
  EXPECT_TRUE(pages_of_mapping(begin_ + (4 << 20)).is_advised);
}

TEST_F(FreshMemory, IsLeftAloneIfItIsSmall) {
  const std::array targets{descriptor(begin_, kLeastFreshBytes - 1),
                           descriptor(begin_ + (8 << 20), kLeastFreshBytes - 1)};
  prepare(targets);
  EXPECT_FALSE(pages_of_mapping(begin_).is_advised);
}

TEST_F(FreshMemory, IsLeftAloneIfItWasTouchedInPart) {
  for (std::size_t i = 0; i < (8 << 20); i += 4096)
    memory_.data()[(begin_ - memory_.address()) + (8 << 20) + i] = std::byte{1};
  const std::array targets{descriptor(begin_, 16 << 20)};
  prepare(targets);
  EXPECT_FALSE(pages_of_mapping(begin_).is_advised);
}

TEST_F(FreshMemory, IsLeftAloneIfItIsShared) {
  void* const shared =
      ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  const auto address = reinterpret_cast<std::uintptr_t>(shared);
  const std::array targets{descriptor(address, kSize)};
  prepare(targets);
  EXPECT_FALSE(pages_of_mapping(next_huge_page(address)).is_advised);
  ::munmap(shared, kSize);
}

TEST_F(FreshMemory, IsLeftAloneIfItIsNotMapped) {
  const std::uintptr_t gone = Pages(kSize).address();
  const std::array targets{descriptor(gone, kSize)};
  prepare(targets);
  EXPECT_FALSE(is_fresh(std::array{Range{gone, 0, kSize}}));
}

TEST(OwnMappings, ArePrivateMemoryOfNoFile) {
  const Extent extent{0x7f0000000000, 0x7f0000200000};
  const std::string range = "7f0000000000-7f0000200000 ";
  for (const char* rest :
       {"rw-p 00000000 00:00 0 ", "rw-p 00000000 00:00 0",
        "rwxp 00000000 00:00 0       [anon:arena]", "rw-p 00000000 00:00 0 [heap]"})
    EXPECT_EQ(anonymous_mapping(range + rest), extent) << rest;
  for (const char* rest :
       {"r--p 00000000 00:00 0 ", "rw-s 00000000 00:00 0 ",
        "rw-p 00001000 fe:00 77    /usr/lib/libc.so.6", "rw-p 00000000 00:00 0 [stack]",
        "rw-s 00000000 00:05 0 /memfd:it (deleted)", "rw", ""})
    EXPECT_EQ(anonymous_mapping(range + rest), std::nullopt) << rest;
  for (const char* line : {"", "-", "7f0000000000", "7f0000000000-", "x-y rw-p"})
    EXPECT_EQ(anonymous_mapping(line), std::nullopt) << line;
}

TEST(Advice, MattersOnlyWhereHugePagesAreGivenToWhomAsks) {
  EXPECT_TRUE(is_advice_heeded("always [madvise] never"));
  EXPECT_FALSE(is_advice_heeded("[always] madvise never"));
  EXPECT_FALSE(is_advice_heeded("always madvise [never]"));
  EXPECT_FALSE(is_advice_heeded(""));
}

TEST(Populate, MakesThePagesAndKeepsWhatTheyHold) {
  const base::SharedMemory memory("nixl_connect_test", kSize);
  memory.data()[8192] = std::byte{7};
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const std::array whole{Range{address, 0, kSize}};
  EXPECT_TRUE(is_fresh(whole));
  populate(std::array{Range{address + 100, 0, 8192}, Range{address + 8292, 0, 1}});
  std::array<unsigned char, 4> resident{};
  ASSERT_EQ(::mincore(memory.data(), 4 * 4096, resident.data()), 0);
  EXPECT_EQ(memory.data()[8192], std::byte{7});
  if ((resident[0] & 1) == 0) GTEST_SKIP() << "Linux before 5.14 cannot do it";
  EXPECT_EQ(resident[1] & 1, 1);
  EXPECT_EQ(resident[3] & 1, 0);
  populate(whole);
  EXPECT_FALSE(is_fresh(whole));
}

// Notes its pieces.
class NotingCopy final : public Copy {
 public:
  explicit NotingCopy(Ranges ranges) : Copy(std::move(ranges), progress_) {}

  bool checks_lease() const noexcept override { return false; }

  std::vector<Range> move_all() {
    while (move_piece() != Step::kEnded) {
    }
    return pieces_;
  }

 private:
  Moved move(std::span<const Range> piece) noexcept override {
    pieces_.push_back(piece[0]);
    return {piece[0].size, Fault::kNone};
  }

  std::atomic<std::uint64_t> progress_{0};
  std::vector<Range> pieces_;
};

TEST(Copy, FillsEachHugePageOfAFreshTargetInOnePiece) {
  const Pages memory(kSize);
  const std::uintptr_t target = next_huge_page(memory.address()) + 4096;
  NotingCopy copy({{target, 0, 8 << 20}});
  copy.prepare_target();
  const std::vector<Range> pieces = copy.move_all();
  EXPECT_EQ(pieces.size(), 5U);
  for (const Range& piece : pieces)
    EXPECT_EQ(piece.local / kHugePageBytes,
              (piece.local + piece.size - 1) / kHugePageBytes);
  EXPECT_TRUE(copy.is_complete());
  EXPECT_FALSE(is_fresh(std::array{Range{target, 0, 8 << 20}})) << "it has pages now";
}

TEST(Copy, MovesOtherTargetsInSmallPieces) {
  const Pages memory(kSize);
  memory.fill();
  NotingCopy copy({{memory.address(), 0, 8 << 20}});
  copy.prepare_target();
  EXPECT_EQ(copy.move_all().size(), (8 << 20) / Copy::kPieceBytes);
}

}  // namespace
}  // namespace nixl_connect::paths::host
