// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/pinned_maps.h"

#include <string>

#include "paths/cuda/device_copy.h"
#include "paths/cuda/host_arena.h"
#include "paths/cuda/stand_in_fixture.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

constexpr std::size_t kSize = 100'000;
constexpr Instance kOwner{std::byte{1}};

class PinnedMapsTest : public StandInTest {
 protected:
  PinnedMaps::Pin pin(const HostMap& map, CuDevice device = 0) {
    return maps_.pin(map, 0, devices_.at(static_cast<std::size_t>(device)));
  }
  static unsigned pinned() { return stand_in::calls("cuMemHostRegister"); }
  static unsigned unpinned() { return stand_in::calls("cuMemHostUnregister"); }

  const std::size_t before_ = stand_in::registrations();
  const std::vector<DeviceFacts> devices_ = find_devices(driver_under_test());
  PinnedMaps maps_{driver_under_test(), 2};
};

TEST_F(PinnedMapsTest, PinEachMapOnceForAllGpus) {
  const HostArena arena(kSize);
  const HostMap map = arena.map();
  const auto first = pin(map, 0);
  EXPECT_EQ(first->bytes().data(), map.memory->data());
  EXPECT_EQ(first->bytes().size(), kSize);
  EXPECT_EQ(pin(map, 1), first);
  EXPECT_EQ(pinned(), 1U);
  EXPECT_NE(pin(arena.map()), first) << "another map of the same memory";
  EXPECT_EQ(pinned(), 2U);
}

TEST_F(PinnedMapsTest, PinOnlyThePartsThatAreNeeded) {
  constexpr std::size_t kPart = 8192;
  PinnedMaps maps(driver_under_test(), 100, kPart);
  const HostArena arena(kSize);
  const HostMap map = arena.map();
  const auto part_at = [&](std::size_t offset) {
    return maps.pin(map, offset, devices_[0])->bytes();
  };
  EXPECT_EQ(part_at(kPart).data(), map.memory->data() + kPart);
  EXPECT_EQ(part_at(2 * kPart - 1).size(), kPart);
  EXPECT_EQ(maps.size(), 1U);
  EXPECT_EQ(part_at(kSize - 1).size(), kSize % kPart);
  EXPECT_EQ(maps.size(), 2U);
}

TEST_F(PinnedMapsTest, KeepTheLatestUsed) {
  const HostArena arena(kSize);
  const HostMap first = arena.map();
  const HostMap second = arena.map();
  pin(first);
  pin(second);
  pin(first);
  pin(arena.map());
  EXPECT_EQ(maps_.size(), 2U);
  EXPECT_EQ(unpinned(), 1U);
  pin(first);
  EXPECT_EQ(pinned(), 3U);
  pin(second);
  EXPECT_EQ(pinned(), 4U);
}

TEST_F(PinnedMapsTest, LeaveWhatACopyHolds) {
  const HostArena arena(kSize);
  auto held = pin(arena.map(kOwner));
  pin(arena.map());
  pin(arena.map());
  maps_.drop(kOwner);
  EXPECT_EQ(unpinned(), 0U);
  EXPECT_EQ(maps_.size(), 2U);
  held = nullptr;
  EXPECT_EQ(unpinned(), 1U);
}

TEST_F(PinnedMapsTest, UnpinBeforeTheyUnmap) {
  const HostArena arena(kSize);
  unsigned unpinned_before = 0;
  pin(arena.map(kOwner, [&] { unpinned_before = unpinned(); }));
  EXPECT_EQ(unpinned_before, 0U) << "still mapped";
  maps_.drop(kOwner);
  EXPECT_EQ(unpinned_before, 1U);
  EXPECT_EQ(stand_in::registrations(), before_);
}

TEST_F(PinnedMapsTest, DropWhatIsOfOneOwnerOrOfOneMemory) {
  const HostArena arena(kSize);
  const HostArena other(kSize);
  const HostMap map = arena.map();
  pin(map);
  pin(other.map(kOwner));
  maps_.drop(kOwner);
  EXPECT_EQ(maps_.size(), 1U);
  maps_.drop(map.id + 1);
  EXPECT_EQ(maps_.size(), 1U);
  maps_.drop(map.id);
  EXPECT_EQ(maps_.size(), 0U);
  EXPECT_EQ(stand_in::registrations(), before_);
}

TEST_F(PinnedMapsTest, DropWhatWasGivenBackBeforeTheyPinMore) {
  HostArena arena(kSize);
  const HostArena other(kSize);
  const auto first = pin(arena.map());
  EXPECT_FALSE(first->is_given_back()) << "though nobody has touched it";
  arena.give_back();
  EXPECT_TRUE(first->is_given_back());
  pin(other.map());
  EXPECT_EQ(maps_.size(), 1U);
}

TEST_F(PinnedMapsTest, SayWhatCouldNotBePinned) {
  const HostArena arena(kSize);
  const HostMap map = arena.map();
  const auto text_of = [&] {
    try {
      pin(map);
    } catch (const CopyRefused& error) {
      EXPECT_EQ(error.cause(), CopyFailure::Cause::kNotPinned);
      return std::string(error.what());
    }
    return std::string("it was pinned");
  };
  stand_in::fail("cuMemHostRegister", kCuOutOfMemory);
  EXPECT_EQ(text_of().find("pinning 100000 bytes of the host's memory for GPU 0 "
                           "(Stand-in 0): CUDA_ERROR_OUT_OF_MEMORY (2)"),
            0U);
  stand_in::fail("cuMemHostGetDevicePointer", kCuInvalidValue);
  EXPECT_NE(text_of().find("error (1)"), std::string::npos);
  EXPECT_EQ(stand_in::registrations(), before_);
  EXPECT_EQ(maps_.size(), 0U);
  EXPECT_EQ(text_of(), "it was pinned");
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
