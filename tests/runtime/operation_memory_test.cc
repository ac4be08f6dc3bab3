// SPDX-License-Identifier: Apache-2.0
#include "runtime/operation_memory.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

namespace nixl_connect::runtime {
namespace {

TEST(OperationMemory, GivesBackWhatItWasMadeOf) {
  std::array<char, 64> bytes{};
  const auto one = std::make_shared<int>();
  const auto other = std::make_shared<int>();
  const Device gpu(DeviceKind::kCuda, 1);
  const std::vector<Descriptor> given{
      {bytes.data(), 0, Device(DeviceKind::kCuda, 3)},
      {bytes.data(), 8, gpu},
      {bytes.data() + 8, 8, gpu, one},
      {bytes.data() + 16, 0, gpu, one},
      Descriptor::read_only(bytes.data() + 16, 8, gpu, one),
      {bytes.data() + 24, 8, gpu, other},
      {bytes.data() + 32, 8, gpu},
  };
  const OperationMemory memory(given);
  EXPECT_EQ(memory.size(), 40U);
  EXPECT_EQ(memory.device(), gpu) << "of those that have bytes";
  ASSERT_EQ(memory.ranges().size(), given.size());
  ASSERT_EQ(memory.descriptors().size(), given.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    EXPECT_EQ(memory.ranges()[i].ptr(), given[i].ptr()) << i;
    EXPECT_EQ(memory.ranges()[i].size(), given[i].size()) << i;
    const Descriptor& again = memory.descriptors()[i];
    EXPECT_EQ(again.ptr(), given[i].ptr()) << i;
    EXPECT_EQ(again.size(), given[i].size()) << i;
    EXPECT_EQ(again.device(), given[i].device()) << i;
    EXPECT_EQ(again.is_read_only(), given[i].is_read_only()) << i;
    EXPECT_EQ(again.owner(), given[i].owner()) << i;
  }
}

TEST(OperationMemory, KeepsAnOwnerOfThousandsOnce) {
  std::array<char, 64> bytes{};
  auto owner = std::make_shared<int>();
  const std::weak_ptr<int> watched = owner;
  std::vector<Descriptor> given(4096, Descriptor(bytes.data(), 64, {}, owner));
  owner.reset();
  {
    const OperationMemory memory(given);
    given.clear();
    EXPECT_EQ(watched.use_count(), 1);
  }
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace nixl_connect::runtime
