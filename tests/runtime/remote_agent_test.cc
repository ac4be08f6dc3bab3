// SPDX-License-Identifier: Apache-2.0
#include "runtime/remote_agent.h"

#include <gtest/gtest.h>

#include <random>

#include "nixl_connect/error.h"
#include "wire/envelope.h"

namespace nixl_connect::runtime {
namespace {

wire::Region region(std::uint64_t address, std::uint64_t size) {
  return {wire::MemoryType::kDram, address, size, 0, base::Bytes(9)};
}

RemoteAgent agent_with(std::vector<wire::Region> regions) {
  wire::AgentMetadata metadata;
  metadata.agent = "peer";
  metadata.connection = base::Bytes(16);
  metadata.regions = std::move(regions);
  return RemoteAgent(std::move(metadata));
}

TEST(RemoteAgent, FindsRangesInsideARegionOnly) {
  const RemoteAgent agent = agent_with({region(300, 50), region(100, 100)});
  ASSERT_NE(agent.find(100, 100), nullptr);
  EXPECT_EQ(agent.find(100, 100)->address, 100U);
  EXPECT_EQ(agent.find(199, 1)->address, 100U);
  EXPECT_EQ(agent.find(310, 40)->address, 300U);
  EXPECT_EQ(agent.find(99, 1), nullptr);
  EXPECT_EQ(agent.find(100, 101), nullptr);
  EXPECT_EQ(agent.find(150, 200), nullptr) << "spans two regions and the gap";
  EXPECT_EQ(agent.find(200, 1), nullptr);
  EXPECT_EQ(agent.find(350, 1), nullptr);
  EXPECT_EQ(agent.find(150, UINT64_MAX), nullptr);
}

TEST(RemoteAgent, TellsMemoryOfTheHostFromThatOfGpus) {
  wire::Region vram = region(50, 300);
  vram.memory = wire::MemoryType::kVram;
  const RemoteAgent agent = agent_with({region(100, 100), vram});
  EXPECT_EQ(agent.find(150, 10)->address, 100U);
  EXPECT_EQ(agent.find(150, 10, wire::MemoryType::kVram)->address, 50U);
  EXPECT_EQ(agent.find(50, 10), nullptr);
}

TEST(RemoteAgent, FindsALargeRegionThatBeginsBeforeASmallOne) {
  const RemoteAgent agent =
      agent_with({region(100, 1000), region(200, 10), region(300, 10)});
  ASSERT_NE(agent.find(305, 100), nullptr);
  EXPECT_EQ(agent.find(305, 100)->address, 100U);
}

TEST(RemoteAgent, FindsEachOfManyRegionsHoweverTheyAreSpread) {
  std::mt19937_64 random(1);
  for (const std::uint64_t widest : {1, 100, 1 << 20}) {
    std::vector<wire::Region> regions;
    std::uint64_t address = 1 << 12;
    for (int i = 0; i < 1000; ++i) {
      const std::uint64_t size = 1 + random() % 64;
      regions.push_back(region(address, size));
      // Few gaps are wide, so that the rest lies close together.
      address += size + 1 + (i % 50 == 0 ? random() % widest * 1000 : random() % 64);
    }
    const RemoteAgent agent = agent_with(regions);
    for (const wire::Region& each : regions) {
      ASSERT_NE(agent.find(each.address, each.size), nullptr);
      EXPECT_EQ(agent.find(each.address, each.size)->address, each.address);
      EXPECT_EQ(agent.find(each.address + each.size - 1, 1)->address, each.address);
      EXPECT_EQ(agent.find(each.address + each.size, 1), nullptr);
      EXPECT_EQ(agent.find(each.address - 1, 1), nullptr);
    }
  }
}

TEST(RemoteAgent, LeavesRegionsOfOtherMemoryAlone) {
  wire::Region file = region(100, 100);
  file.memory = wire::MemoryType::kFile;
  EXPECT_EQ(agent_with({file}).find(100, 1), nullptr);
}

TEST(RemoteAgent, NeedsConnectionInformation) {
  wire::AgentMetadata metadata;
  metadata.agent = "partial";
  try {
    const RemoteAgent agent(metadata);
    ADD_FAILURE() << agent.name();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("partial"), std::string::npos);
  }
}

TEST(RemoteAgents, DecodeTheSameTextOnce) {
  wire::AgentMetadata metadata;
  metadata.agent = "peer";
  metadata.connection = base::Bytes(16);
  metadata.regions = {region(1, 2)};
  const std::string text =
      wire::encode_blob_text(wire::encode(metadata), wire::BlobText::kBase64);
  RemoteAgents agents;
  const auto first = agents.load(text);
  EXPECT_EQ(agents.load(text), first);
  EXPECT_EQ(first->name(), "peer");
}

}  // namespace
}  // namespace nixl_connect::runtime
