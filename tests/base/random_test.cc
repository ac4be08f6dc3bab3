// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <regex>
#include <set>

namespace nixl_connect::base {
namespace {

TEST(Random, HexHasAsManyDigitsAsAskedFor) {
  for (const std::size_t digits : {0U, 1U, 8U, 31U, 32U}) {
    const std::string text = random_hex(digits);
    EXPECT_EQ(text.size(), digits);
    EXPECT_EQ(text.find_first_not_of("0123456789abcdef"), std::string::npos) << text;
  }
}

TEST(Random, UuidsAreOfVersion4AndDiffer) {
  const std::regex form(
      "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  std::set<std::string> uuids;
  for (int i = 0; i < 100; ++i) {
    const std::string uuid = random_uuid4();
    EXPECT_TRUE(std::regex_match(uuid, form)) << uuid;
    uuids.insert(uuid);
  }
  EXPECT_EQ(uuids.size(), 100U);
}

TEST(Random, FillsEveryByte) {
  // Each of the 600 bytes stays 0 in all eight rounds with a probability of 2^-64.
  std::array<std::byte, 600> seen{};
  for (int round = 0; round < 8; ++round) {
    std::array<std::byte, 600> bytes{};
    fill_random(bytes);
    std::transform(seen.begin(), seen.end(), bytes.begin(), seen.begin(),
                   [](std::byte a, std::byte b) { return a | b; });
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), std::byte{0}), 0);
}

TEST(Random, NumbersDiffer) {
  std::set<std::uint64_t> numbers;
  for (int i = 0; i < 100; ++i) numbers.insert(random_u64());
  EXPECT_EQ(numbers.size(), 100U);
}

}  // namespace
}  // namespace nixl_connect::base
