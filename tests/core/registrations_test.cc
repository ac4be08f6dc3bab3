// SPDX-License-Identifier: Apache-2.0
//
// How long registrations live and who shares them; which keys may leave.
#include "core/registrations.h"

#include <gtest/gtest.h>

#include "core/emitted_keys.h"

namespace nixl_connect::core {
namespace {

using Ids = std::vector<RegistrationId>;

const MemoryRange kRange{0x1000, 64, {}};
const RegistrationTable::Owner kNoOwner;

std::shared_ptr<const void> make_owner() { return std::make_shared<int>(0); }

TEST(RegistrationTable, SharesARangeOfOneOwner) {
  RegistrationTable table;
  const auto owner = make_owner();
  const auto first = table.acquire(kRange, owner);
  const auto second = table.acquire(kRange, owner);
  EXPECT_TRUE(first.is_new);
  EXPECT_FALSE(second.is_new);
  EXPECT_EQ(first.id, second.id);
}

TEST(RegistrationTable, KeepsAnIdleRegistrationWhileItsOwnerLives) {
  RegistrationTable table;
  auto owner = make_owner();
  const auto first = table.acquire(kRange, owner);
  EXPECT_EQ(table.release(first.id), Ids{});
  EXPECT_EQ(table.sweep(), Ids{});
  const auto again = table.acquire(kRange, owner);
  EXPECT_FALSE(again.is_new);
  EXPECT_EQ(table.release(again.id), Ids{});
  owner.reset();
  EXPECT_EQ(table.sweep(), Ids{first.id});
  EXPECT_EQ(table.size(), 0U);
}

TEST(RegistrationTable, DropsAnOwnerlessRegistrationWithItsLastReference) {
  RegistrationTable table;
  const auto first = table.acquire(kRange, kNoOwner);
  const auto second = table.acquire(kRange, kNoOwner);
  EXPECT_EQ(first.id, second.id);
  EXPECT_EQ(table.release(first.id), Ids{});
  EXPECT_EQ(table.release(second.id), Ids{first.id});
  EXPECT_TRUE(table.acquire(kRange, kNoOwner).is_new);
}

TEST(RegistrationTable, GivesNothingOfADeadOwnerToANewOneAtTheSameAddress) {
  RegistrationTable table;
  auto owner = make_owner();
  const auto old = table.acquire(kRange, owner);
  EXPECT_EQ(table.release(old.id), Ids{});
  owner.reset();
  const auto next = make_owner();
  const auto fresh = table.acquire(kRange, next);
  EXPECT_TRUE(fresh.is_new);
  EXPECT_NE(fresh.id, old.id);
  EXPECT_TRUE(table.acquire(kRange, kNoOwner).is_new);
  EXPECT_EQ(table.sweep(), Ids{old.id});
}

TEST(RegistrationTable, DropsAtTheLastReleaseWhatLostItsOwnerBefore) {
  RegistrationTable table;
  auto owner = make_owner();
  const auto taken = table.acquire(kRange, owner);
  owner.reset();
  EXPECT_EQ(table.sweep(), Ids{}) << "it is in use";
  EXPECT_EQ(table.release(taken.id), Ids{taken.id});
}

TEST(RegistrationTable, SeparatesSizesAndDevices) {
  RegistrationTable table;
  const auto owner = make_owner();
  EXPECT_TRUE(table.acquire(kRange, owner).is_new);
  EXPECT_TRUE(table.acquire({0x1000, 65, {}}, owner).is_new);
  EXPECT_TRUE(table.acquire({0x1001, 64, {}}, owner).is_new);
  EXPECT_TRUE(table.acquire({0x1000, 64, Device(DeviceKind::kCuda, 1)}, owner).is_new);
}

TEST(RegistrationTable, EvictsTheLongestUnusedBeyondTheLimit) {
  RegistrationTable table(2);
  const auto owner = make_owner();
  const auto at = [&](std::uintptr_t address) {
    return table.acquire({address, 64, {}}, owner).id;
  };
  const auto first = at(1);
  const auto second = at(2);
  const auto third = at(3);
  EXPECT_EQ(table.release(first), Ids{});
  EXPECT_EQ(table.release(second), Ids{});
  EXPECT_EQ(at(1), first);
  EXPECT_EQ(table.release(first), Ids{});
  EXPECT_EQ(table.release(third), Ids{second});
}

TEST(RegistrationTable, ForgetsWhatCouldNotBeRegistered) {
  RegistrationTable table;
  const auto owner = make_owner();
  const auto failed = table.acquire(kRange, owner);
  table.release_failed(failed.id);
  EXPECT_EQ(table.size(), 0U);
  EXPECT_TRUE(table.acquire(kRange, owner).is_new);
}

TEST(EmittedKeys, RefusesAnotherKeyForARangeUnderOneName) {
  EmittedKeys keys;
  EXPECT_TRUE(keys.note(kRange, 1));
  EXPECT_TRUE(keys.note(kRange, 1));
  EXPECT_TRUE(keys.note({0x2000, 64, {}}, 2));
  EXPECT_FALSE(keys.note(kRange, 2));
  EXPECT_TRUE(keys.note(kRange, 1)) << "the refused key was not noted";
  keys.new_name();
  EXPECT_TRUE(keys.note(kRange, 2));
}

TEST(EmittedKeys, AsksForANewNameWhenFull) {
  EmittedKeys keys(1);
  EXPECT_TRUE(keys.note(kRange, 1));
  EXPECT_FALSE(keys.note({0x2000, 64, {}}, 1));
  EXPECT_TRUE(keys.note(kRange, 1));
}

}  // namespace
}  // namespace nixl_connect::core
