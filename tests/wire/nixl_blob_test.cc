// SPDX-License-Identifier: Apache-2.0
#include "wire/nixl_blob.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <tuple>

#include "wire/samples.h"
#include "wire/serdes.h"

namespace nixl_connect::wire {
namespace {

std::uint32_t crc_of(const base::Bytes& bytes) {
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

AgentMetadata real_agent() {
  AgentMetadata agent;
  agent.agent = "realA";
  agent.regions = {
      {MemoryType::kDram, 0x7fdae1264000, 0x100000, 0, base::Bytes(9, std::byte{0})}};
  return agent;
}

// An agent's records up to its sections.
RecordWriter agent_head(std::uint64_t sections) {
  RecordWriter records;
  records.add("Agent", "far");
  records.add_u64("Conns", 0);
  records.add("", "MemSection");
  records.add_u64("nixlSecElms", sections);
  return records;
}

void add_section_head(RecordWriter& records, std::string_view backend,
                      std::uint32_t memory, std::uint64_t count) {
  records.add("bknd", backend);
  records.add("nixlDList", "nixlSDList");
  base::Writer type;
  type.u32(memory);
  records.add("t", type.bytes());
  records.add_u64("n", count);
}

TEST(NixlBlob, CapturedVectorsAreUndamaged) {
  EXPECT_EQ(crc_of(captured("v1_full")), 0x7B9C929AU);
  EXPECT_EQ(crc_of(captured("v4_full_wheel")), 0xD417405DU);
  EXPECT_EQ(crc_of(captured("v5_partial_wheel")), 0x7E279648U);
}

TEST(NixlBlob, EncodesTheFullMetadataOfAGenuineAgentByteForByte) {
  const base::Bytes v1 = captured("v1_full");
  AgentMetadata agent = real_agent();
  agent.connection.emplace(v1.begin() + 74, v1.begin() + 74 + 48);
  EXPECT_EQ(base::to_hex(encode(agent)), base::to_hex(v1));
  EXPECT_EQ(decode(v1), agent);
}

TEST(NixlBlob, EncodesPartialMetadataByteForByte) {
  EXPECT_EQ(base::to_hex(encode(real_agent())), base::to_hex(captured("v2_partial")));
  EXPECT_EQ(decode(captured("v2_partial")), real_agent());
}

TEST(NixlBlob, DecodesMetadataOfTheWheelAndGivesItBackUnchanged) {
  const base::Bytes v4 = captured("v4_full_wheel");
  const AgentMetadata full = decode(v4);
  EXPECT_EQ(full.agent, "goldA");
  ASSERT_TRUE(full.connection);
  EXPECT_EQ(full.connection->size(), 213U);
  ASSERT_EQ(full.regions.size(), 2U);
  EXPECT_EQ(full.regions[0].address, 0x55f6b2d79b00U);
  EXPECT_EQ(full.regions[1].address, 0x55f6b2d99b00U);
  EXPECT_EQ(full.regions[1].size, 0x10000U);
  EXPECT_EQ(base::to_hex(full.regions[1].rkey), "01000000000000000000ff");
  EXPECT_FALSE(full.extension);
  EXPECT_EQ(encode(full), v4);

  const base::Bytes v5 = captured("v5_partial_wheel");
  const AgentMetadata partial = decode(v5);
  EXPECT_FALSE(partial.connection);
  ASSERT_EQ(partial.regions.size(), 2U);
  EXPECT_EQ(partial.regions[0].address, 0x558518f08670U);
  EXPECT_EQ(encode(partial), v5);
}

TEST(NixlBlob, SurvivesTheRoundTripWithAnythingInIt) {
  Samples samples(1);
  for (int i = 0; i < 500; ++i) {
    AgentMetadata agent = samples.agent();
    const AgentMetadata decoded = decode(encode(agent));
    std::sort(
        agent.regions.begin(), agent.regions.end(), [](const auto& a, const auto& b) {
          return std::tuple(a.memory, a.rkey.empty(), a.device_id, a.address, a.size) <
                 std::tuple(b.memory, b.rkey.empty(), b.device_id, b.address, b.size);
        });
    EXPECT_EQ(decoded, agent);
  }
}

// As far as a genuine agent knows, which would otherwise read a key that is not there.
TEST(NixlBlob, HasRegionsWithoutAKeyUnderABackendOfItsOwn) {
  AgentMetadata agent;
  agent.agent = "far";
  const Region with_key{MemoryType::kVram, 0x1000, 16, 1, bytes_of("key")};
  const Region without_key{MemoryType::kVram, 0x2000, 16, 0, {}};
  agent.regions = {with_key, without_key};
  const base::Bytes blob = encode(agent);
  EXPECT_EQ(decode(blob), agent);

  RecordWriter records = agent_head(2);
  for (const Region& region : agent.regions) {
    add_section_head(records, region.rkey.empty() ? "nixl-connect" : "UCX", 1, 1);
    base::Writer descriptor;
    descriptor.u64(region.address);
    descriptor.u64(region.size);
    descriptor.u64(region.device_id);
    descriptor.raw(region.rkey);
    records.add("", descriptor.bytes());
  }
  EXPECT_EQ(base::to_hex(std::move(records).take()), base::to_hex(blob));
}

TEST(NixlBlob, RefusesAgentNamesThatPeersCannotTake) {
  for (const auto& [name, words] :
       {std::pair{"", "is empty"}, std::pair{"\xff", "is not UTF-8"},
        std::pair{"aNIXLCOMM:", "NIXLCOMM:"}}) {
    AgentMetadata agent;
    agent.agent = name;
    expect_error(ErrorKind::kInvalidArgument, words, [&] { encode(agent); });
  }
  for (const char* name : {"", "\xc0\x80"}) {
    RecordWriter records;
    records.add("Agent", std::string_view(name));
    const base::Bytes blob = std::move(records).take();
    expect_error(ErrorKind::kInvalidArgument, "\"Agent\" at byte 11",
                 [&] { decode(blob); });
  }
}

TEST(NixlBlob, NamesExpectedAndFoundTagOfAnotherDialect) {
  base::Bytes blob = captured("v1_full");
  const base::Bytes other = bytes_of("C\x01xyz");
  std::copy(other.begin(), other.end(), blob.begin() + 30);
  expect_error(ErrorKind::kInvalidArgument,
               R"(peer speaks another NIXL dialect: expected tag "Conns" at byte 30, )"
               R"(found "C\x01xyz")",
               [&] { decode(blob); });
  expect_error(ErrorKind::kInvalidArgument,
               R"(expected "nixlSerDes|" at byte 0, found "{")",
               [] { decode(bytes_of("{")); });
  // NIXL 0.5 and before: a record "s" in front of "n".
  RecordWriter old = agent_head(1);
  old.add("bknd", "UCX");
  old.add("nixlDList", "nixlSDList");
  old.add("t", base::Bytes(4));
  old.add("s", "1");
  const base::Bytes old_blob = std::move(old).take();
  expect_error(ErrorKind::kInvalidArgument,
               R"(expected tag "n" at byte 155, found "s")", [&] { decode(old_blob); });
}

TEST(NixlBlob, SkipsOtherBackends) {
  RecordWriter records;
  records.add("Agent", "far");
  records.add_u64("Conns", 3);
  for (const auto* backend : {"LIBFABRIC", "UCX", "GDS"}) {
    records.add("t", std::string_view(backend));
    records.add("c", std::string_view(backend));
  }
  records.add("", "MemSection");
  records.add_u64("nixlSecElms", 2);
  add_section_head(records, "LIBFABRIC", 0, 2);
  records.add("", "short");
  records.add("", "");
  add_section_head(records, "UCX", 0, 1);
  records.add("", std::string(24, '\1') + "key");

  const AgentMetadata agent = decode(std::move(records).take());
  EXPECT_EQ(agent.connection, bytes_of("UCX"));
  ASSERT_EQ(agent.regions.size(), 1U);
  EXPECT_EQ(agent.regions[0].rkey, bytes_of("key"));
}

TEST(NixlBlob, RefusesAPeerWithoutUcxAsUnsupported) {
  RecordWriter records;
  records.add("Agent", "far");
  records.add_u64("Conns", 1);
  records.add("t", "LIBFABRIC");
  records.add("c", "address");
  const base::Bytes blob = std::move(records).take();
  expect_error(ErrorKind::kUnsupported, "UCX", [&] { decode(blob); });
}

TEST(NixlBlob, RefusesCountsThatTheBytesCannotHold) {
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 60;
  RecordWriter connections;
  connections.add("Agent", "far");
  connections.add_u64("Conns", kHuge);
  RecordWriter sections = agent_head(kHuge);
  RecordWriter descriptors = agent_head(1);
  add_section_head(descriptors, "UCX", 0, kHuge);
  RecordWriter* const cases[] = {&connections, &sections, &descriptors};
  const char* const tags[] = {"\"Conns\"", "\"nixlSecElms\"", "\"n\""};
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    const base::Bytes blob = std::move(*cases[i]).take();
    expect_error(ErrorKind::kInvalidArgument, tags[i], [&] { decode(blob); });
  }
}

TEST(NixlBlob, RefusesLengthsThatReachOutside) {
  base::Bytes blob = captured("v1_full");
  std::fill(blob.begin() + 16, blob.begin() + 24, std::byte{0xff});
  expect_error(ErrorKind::kInvalidArgument,
               "record \"Agent\" at byte 11 says it has 18446744073709551615 bytes",
               [&] { decode(blob); });
}

TEST(NixlBlob, RefusesMemoryBeyondTheLastAddress) {
  RecordWriter records = agent_head(1);
  add_section_head(records, "UCX", 0, 1);
  records.add("", std::string(24, '\xff'));
  const base::Bytes blob = std::move(records).take();
  expect_error(ErrorKind::kInvalidArgument, "beyond the last address",
               [&] { decode(blob); });
}

TEST(NixlBlob, LeavesOutSectionsOfUnknownMemory) {
  RecordWriter records = agent_head(1);
  add_section_head(records, "UCX", 77, 1);
  records.add("", std::string(24, '\1'));
  EXPECT_TRUE(decode(std::move(records).take()).regions.empty());
}

TEST(NixlBlob, FindsTheExtensionOnlyDirectlyBehindTheLastRecord) {
  AgentMetadata agent = real_agent();
  agent.extension = Samples(2).extension();
  const base::Bytes plain = encode(real_agent());
  const base::Bytes full = encode(agent);
  ASSERT_TRUE(std::equal(plain.begin(), plain.end(), full.begin()));

  base::Bytes with_more = full;
  with_more.resize(full.size() + 100);
  EXPECT_EQ(decode(with_more), agent);

  base::Bytes moved = full;
  moved.insert(moved.begin() + static_cast<std::ptrdiff_t>(plain.size()), std::byte{0});
  EXPECT_EQ(decode(moved), real_agent());

  base::Bytes another_version = full;
  another_version[plain.size() + 4] = std::byte{'2'};
  EXPECT_EQ(decode(another_version), real_agent());
}

}  // namespace
}  // namespace nixl_connect::wire
