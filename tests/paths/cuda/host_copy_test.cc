// SPDX-License-Identifier: Apache-2.0
//
// Copies between the host's memory and that of a GPU.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "paths/cuda/copy_batches.h"
#include "paths/cuda/copy_owner.h"
#include "paths/cuda/host_arena.h"
#include "paths/cuda/mixed_ranges.h"
#include "paths/cuda/stand_in_fixture.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using HostCopies = StandInTest;
using Cause = CopyFailure::Cause;
using HostSide = CopyWork::HostSide;

TEST_F(HostCopies, MoveRangesOfAnySizeAndAlignmentBothWays) {
  const Session session;
  Owner owner;
  for (const HostSide side : {HostSide::kSources, HostSide::kTargets}) {
    for (const std::size_t largest : {1, 130, 5000}) {
      const Mixed mixed(session, side, 300, largest);
      EXPECT_TRUE(owner.copy(mixed.work())->is_complete());
      EXPECT_TRUE(mixed.has_arrived()) << largest;
    }
  }
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 6U);
  EXPECT_EQ(stand_in::calls("cuMemcpyDtoDAsync"), 0U);
}

TEST_F(HostCopies, GoByACopyEngineIfTheyAreLargeOrFew) {
  const Session session;
  Owner owner;
  for (const HostSide side : {HostSide::kSources, HostSide::kTargets}) {
    const char* const function =
        side == HostSide::kSources ? "cuMemcpyHtoDAsync" : "cuMemcpyDtoHAsync";
    const Mixed few(session, side, 3, 900);
    unsigned calls = stand_in::calls(function);
    EXPECT_TRUE(owner.copy(few.work())->is_complete());
    EXPECT_EQ(stand_in::calls(function), calls + 3);
    EXPECT_TRUE(few.has_arrived());
    const Mixed large(session, side, 5, kLeastHostEngineBytes + 100);
    calls = stand_in::calls(function);
    EXPECT_TRUE(owner.copy(large.work())->is_complete());
    EXPECT_EQ(stand_in::calls(function), calls + 5);
    EXPECT_TRUE(large.has_arrived());
  }
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 0U);
}

TEST_F(HostCopies, PinAMapOnceAndUnpinItWithTheThread) {
  const std::size_t before = stand_in::registrations();
  const Session session;
  const Mixed mixed(session, HostSide::kSources, 20, 100);
  std::optional<Owner> owner(std::in_place);
  owner->copy({});
  const unsigned pinned = stand_in::calls("cuMemHostRegister");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(owner->copy(mixed.work())->is_complete());
  EXPECT_EQ(stand_in::calls("cuMemHostRegister"), pinned + 1U);
  owner.reset();
  EXPECT_EQ(stand_in::registrations(), before);
}

TEST_F(HostCopies, DoNotJoinRangesOfTwoMaps) {
  const Session session;
  constexpr std::size_t kHalf = 1 << 20;
  const HostArena arena(2 * kHalf);
  std::fill_n(arena.data(), kHalf, std::byte{3});
  std::fill_n(arena.data() + kHalf, kHalf, std::byte{4});
  // Two of these maps of it lie side by side, as soon as gaps are filled.
  std::vector<HostMap> maps;
  maps.reserve(16);
  for (int i = 0; i < 16; ++i) maps.push_back(arena.map());
  const auto start = [](const HostMap& map) {
    return reinterpret_cast<std::uintptr_t>(map.memory->data());
  };
  std::sort(maps.begin(), maps.end(), [&](const auto& one, const auto& other) {
    return start(one) < start(other);
  });
  const auto pair = std::adjacent_find(
      maps.begin(), maps.end(), [&](const auto& below, const auto& above) {
        return start(below) + 2 * kHalf == start(above);
      });
  ASSERT_NE(pair, maps.end());
  const DeviceMemory target = allocate(session.driver, 4 * kHalf);
  CopyWork work;
  work.host_side = HostSide::kSources;
  work.host_maps = {pair[0], pair[1]};
  const std::uintptr_t low = start(*pair);
  for (std::size_t i = 0; i < 4; ++i)
    work.ranges.push_back({low + i * kHalf, target.get() + i * kHalf, kHalf});
  Owner owner;
  EXPECT_TRUE(owner.copy(std::move(work))->is_complete());
  EXPECT_EQ(stand_in::calls("cuMemcpyHtoDAsync"), 2U);
  EXPECT_EQ(session.read(target.get() + 3 * kHalf, kHalf), bytes_of(4, kHalf));
  EXPECT_EQ(session.read(target.get() + kHalf, kHalf), bytes_of(4, kHalf));
}

TEST_F(HostCopies, SayThatMemoryCouldNotBePinned) {
  const Session session;
  const Mixed mixed(session, HostSide::kTargets, 20, 100);
  Owner owner;
  owner.copy({});
  stand_in::fail("cuMemHostRegister", kCuOutOfMemory);
  const auto copy = owner.copy(mixed.work());
  ASSERT_TRUE(copy->failure());
  EXPECT_EQ(copy->failure()->cause, Cause::kNotPinned) << copy->failure()->message;
  EXPECT_EQ(copy->failure()->kind, ErrorKind::kNoResources);
  EXPECT_EQ(copy->bytes_moved(), 0U);
  EXPECT_TRUE(owner.copy(mixed.work())->is_complete());
}

TEST_F(HostCopies, LetMemoryOfThisProcessGoWhenItGoes) {
  const std::size_t before = stand_in::registrations();
  const Session session;
  std::optional<Mixed> mixed(std::in_place, session, HostSide::kSources, 20, 100);
  Owner owner;
  EXPECT_TRUE(owner.copy(mixed->work())->is_complete());
  EXPECT_EQ(stand_in::calls("cuMemHostUnregister"), 0U);
  mixed->arena().give_back();
  stand_in::wait_for_calls("cuMemHostUnregister", 1);
  mixed.reset();
  EXPECT_GT(stand_in::registrations(), before) << "the word and the lists of pages";
}

TEST_F(HostCopies, LeaveMemoryPinnedUntilACopyHasEnded) {
  const Session session;
  Mixed mixed(session, HostSide::kSources, 20, 100);
  Owner owner;
  stand_in::hold_streams();
  owner.add(1, mixed.work());
  stand_in::wait_for_calls("cuStreamWriteValue32", 1);
  mixed.arena().give_back();
  owner.copy({});  // that the thread has heard of it
  EXPECT_EQ(stand_in::calls("cuMemHostUnregister"), 0U);
  stand_in::release_streams();
  EXPECT_EQ(owner.wait(), 1U);
  stand_in::wait_for_calls("cuMemHostUnregister", 1);
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
