// SPDX-License-Identifier: Apache-2.0
//
// That GPUs copy from and to pinned memory of the host as the stand-in does.
#include <utility>

#include "paths/cuda/copy_batches.h"
#include "paths/cuda/mixed_ranges.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using HostSide = CopyWork::HostSide;

class GpuHostCopies : public ::testing::Test {
 protected:
  void SetUp() override {
    const OpenedDriver opened = open_driver("");
    if (opened.driver == nullptr) GTEST_SKIP() << opened.why_not;
  }
  static void expect_complete(const DeviceCopy& copy) {
    EXPECT_TRUE(copy.is_complete())
        << (copy.failure() ? copy.failure()->message : "stopped");
  }
};

TEST_F(GpuHostCopies, MoveRangesOfAnySizeAndAlignmentBothWays) {
  const Session session;
  Owner owner(page_kernel_image());
  for (const HostSide side : {HostSide::kSources, HostSide::kTargets}) {
    for (const std::size_t largest : {31, 5'000, 200'000, 2'000'000}) {
      const Mixed by_kernel(session, side, 300, largest);
      expect_complete(*owner.copy(by_kernel.work()));
      EXPECT_TRUE(by_kernel.has_arrived()) << largest;
      const Mixed by_engine(session, side, 300, largest);
      CopyWork work = by_engine.work();
      work.may_use_kernels = false;
      expect_complete(*owner.copy(std::move(work)));
      EXPECT_TRUE(by_engine.has_arrived()) << largest;
    }
  }
}

TEST_F(GpuHostCopies, LetMemoryGoThatIsPinned) {
  const Session session;
  Owner owner(page_kernel_image());
  for (int i = 0; i < 3; ++i) {
    Mixed mixed(session, HostSide::kSources, 100, 50'000);
    expect_complete(*owner.copy(mixed.work()));
    EXPECT_TRUE(mixed.has_arrived());
    mixed.arena().give_back();
  }
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
