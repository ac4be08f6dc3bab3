// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/pinned_ranges.h"

#include <algorithm>

#include "paths/cuda/host_arena.h"
#include "paths/cuda/stand_in_fixture.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using HostSide = CopyWork::HostSide;

constexpr std::size_t kPart = 8192;
constexpr std::uint64_t kElsewhere = 1'000'000;  // on the GPU

class PinnedRangesTest : public StandInTest {
 protected:
  std::vector<PinnedMaps::Pin> pin(KeptPages& ranges,
                                   HostSide side = HostSide::kSources) {
    return pin_ranges(maps_, device_, host_maps_, side, ranges, copy_);
  }
  std::uint64_t start() const { return start_of(host_maps_[0]); }

  const DeviceFacts device_ = find_devices(driver_under_test())[0];
  const HostArena arena_{10 * kPart + 100};
  const std::vector<HostMap> host_maps_{arena_.map()};
  PinnedMaps maps_{driver_under_test(), 100, kPart};
  std::atomic<std::uint64_t> progress_{0};
  DeviceCopy copy_{{}, progress_};
};

TEST_F(PinnedRangesTest, StayAsTheyAreWithinAPart) {
  KeptPages ranges{{start(), kElsewhere, kPart},
                   {start() + 50, kElsewhere + kPart, kPart - 50},
                   {start() + 10 * kPart, 0, 100}};
  EXPECT_EQ(pin(ranges).size(), 2U) << "the first part and the last";
  ASSERT_EQ(ranges.size(), 3U);
  EXPECT_EQ(ranges[1].size, kPart - 50);
}

TEST_F(PinnedRangesTest, AreCutWherePartsMeet) {
  for (const HostSide side : {HostSide::kSources, HostSide::kTargets}) {
    KeptPages ranges;
    for (const auto& [offset, size] :
         {std::pair<std::size_t, std::size_t>{kPart - 10, 2 * kPart + 20},
          {5 * kPart, kPart},
          {6 * kPart + 1, kPart}}) {
      const std::uint64_t host = start() + offset;
      const std::uint64_t gpu = kElsewhere + 2 * offset;
      ranges.push_back(side == HostSide::kSources ? Page{host, gpu, size}
                                                  : Page{gpu, host, size});
    }
    EXPECT_EQ(pin(ranges, side).size(), 7U);
    ASSERT_EQ(ranges.size(), 7U);
    std::uint64_t bytes = 0;
    for (const Page& range : ranges) {
      const std::uint64_t offset =
          (side == HostSide::kSources ? range.source : range.target) - start();
      EXPECT_EQ(offset / kPart, (offset + range.size - 1) / kPart);
      bytes += range.size;
    }
    EXPECT_EQ(bytes, 4 * kPart + 20);
    const auto has = [&](std::uint64_t offset, std::uint64_t from, std::uint64_t size) {
      const std::uint64_t host = start() + offset;
      const std::uint64_t gpu = kElsewhere + 2 * from + (offset - from);
      return std::any_of(ranges.begin(), ranges.end(), [&](const Page& each) {
        return each.size == size &&
               (side == HostSide::kSources ? each.source == host && each.target == gpu
                                           : each.source == gpu && each.target == host);
      });
    };
    EXPECT_TRUE(has(kPart - 10, kPart - 10, 10));
    EXPECT_TRUE(has(kPart, kPart - 10, kPart));
    EXPECT_TRUE(has(3 * kPart, kPart - 10, 10));
    EXPECT_TRUE(has(5 * kPart, 5 * kPart, kPart));
    EXPECT_TRUE(has(7 * kPart, 6 * kPart + 1, 1));
  }
}

TEST_F(PinnedRangesTest, ThatLieOutsideAreRefused) {
  KeptPages ranges{{start() + 10 * kPart, kElsewhere, 101}};
  try {
    pin(ranges);
    ADD_FAILURE() << "they went well";
  } catch (const CopyRefused& error) {
    EXPECT_EQ(error.cause(), CopyFailure::Cause::kNotAsSaid);
  }
}

TEST_F(PinnedRangesTest, OfACopyThatIsStoppedAreNotPinned) {
  copy_.stop();
  KeptPages ranges{{start(), kElsewhere, 10 * kPart}};
  EXPECT_EQ(pin(ranges).size(), 0U);
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
