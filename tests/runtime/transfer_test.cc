// SPDX-License-Identifier: Apache-2.0
//
// Bytes moved between two Connectors, and between a Connector and itself.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"

namespace nixl_connect {
namespace {

using testing::Buffer;
using testing::finish;

RdmaMetadata over_the_wire(const PassiveOperation& operation, bool hex_encode = false) {
  return RdmaMetadata::from_json(operation.metadata(hex_encode).to_json());
}

class Transfer : public ::testing::TestWithParam<std::size_t> {
 protected:
  Connector exposer_;
  Connector initiator_;
};

INSTANTIATE_TEST_SUITE_P(Sizes, Transfer,
                         ::testing::Values(0, 1, 8, 4095, 4096, 4097, 65535, 65536,
                                           65537, 1 << 20, (16 << 20) + 1, 64 << 20));

TEST_P(Transfer, ReadBringsEveryByteAndNoOther) {
  Buffer source(GetParam(), 1);
  Buffer target(GetParam());
  auto readable = exposer_.create_readable(source.descriptor());
  auto read = initiator_.begin_read(over_the_wire(readable), target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
  target.expect_pattern(1);
  target.expect_guards();
  EXPECT_EQ(read.bytes_transferred(), GetParam());
  EXPECT_EQ(readable.bytes_transferred(), GetParam());
  EXPECT_EQ(read.results().size(), 1U);
}

TEST_P(Transfer, WriteBringsEveryByteAndNoOther) {
  Buffer source(GetParam(), 2);
  Buffer target(GetParam());
  auto writable = exposer_.create_writable(target.descriptor());
  auto write = initiator_.begin_write(source.descriptor(), over_the_wire(writable));
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  EXPECT_EQ(finish(writable), OperationStatus::kComplete);
  target.expect_pattern(2);
  target.expect_guards();
  EXPECT_EQ(writable.bytes_transferred(), GetParam());
}

TEST_P(Transfer, ConnectorReadsItsOwnReadable) {
  Buffer source(GetParam(), 3);
  Buffer target(GetParam());
  auto readable = exposer_.create_readable(source.descriptor());
  auto read = exposer_.begin_read(over_the_wire(readable), target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
  target.expect_pattern(3);
}

TEST(Lists, OfThousandsOfDescriptorsArriveWhole) {
  constexpr std::size_t kCount = 4096;
  constexpr std::size_t kSize = 512;
  Connector exposer;
  Connector initiator;
  Buffer source(kCount * (kSize + 1), 4);
  Buffer target(kCount * (kSize + 1));
  const auto sources = source.scattered(kCount, kSize);
  const auto targets = target.scattered(kCount, kSize);
  auto readable = exposer.create_readable(sources);
  auto read = initiator.begin_read(over_the_wire(readable), targets);
  ASSERT_EQ(finish(read), OperationStatus::kComplete);
  for (std::size_t i = 0; i < kCount; ++i) {
    const auto* from = reinterpret_cast<const std::uint8_t*>(sources[i].ptr());
    const auto* to = reinterpret_cast<const std::uint8_t*>(targets[i].ptr());
    ASSERT_TRUE(std::equal(from, from + kSize, to)) << i;
    ASSERT_EQ(to[kSize], 0) << "byte behind piece " << i;
  }
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
}

TEST(Lists, OfOneMatchASingleDescriptor) {
  Connector connector;
  Buffer source(100, 5);
  Buffer target(100);
  const std::vector<Descriptor> one{source.descriptor()};
  auto readable = connector.create_readable(one);
  auto read = connector.begin_read(over_the_wire(readable), target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  target.expect_pattern(5);
}

TEST(Slices, MoveTheirPartOnly) {
  Connector exposer;
  Connector initiator;
  Buffer source(1000, 6);
  Buffer target(1000);
  auto readable = exposer.create_readable(source.descriptor().slice(100, 50));
  auto read =
      initiator.begin_read(over_the_wire(readable), target.descriptor().slice(100, 50));
  ASSERT_EQ(finish(read), OperationStatus::kComplete);
  for (std::size_t i = 0; i < 1000; ++i)
    ASSERT_EQ(target.data()[i], i >= 100 && i < 150 ? source.data()[i] : 0) << i;
}

TEST(Readers, EachGetTheBytesAndTheLastCompletesTheReadable) {
  constexpr std::uint32_t kReaders = 8;
  Connector exposer;
  Buffer source(100'000, 7);
  auto readable = exposer.create_readable(source.descriptor(),
                                          {.timeout = {}, .readers = kReaders});
  const RdmaMetadata metadata = over_the_wire(readable);
  const auto read_once = [&] {
    Connector initiator;
    Buffer target(100'000);
    auto read = initiator.begin_read(metadata, target.descriptor());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    target.expect_pattern(7);
  };
  std::vector<std::thread> threads;
  for (std::uint32_t i = 1; i < kReaders; ++i) threads.emplace_back(read_once);
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(is_terminal(readable.status()));
  read_once();
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
}

TEST(ManyOperations, OfManyThreadsAllComplete) {
  Connector exposer;
  Connector initiator;
  std::vector<std::thread> threads;
  for (std::uint32_t seed = 0; seed < 4; ++seed)
    threads.emplace_back([&, seed] {
      Buffer source(5000, seed);
      for (int round = 0; round < 50; ++round) {
        Buffer target(5000);
        auto readable = exposer.create_readable(source.descriptor());
        auto read = initiator.begin_read(over_the_wire(readable), target.descriptor());
        ASSERT_EQ(finish(read), OperationStatus::kComplete);
        ASSERT_EQ(finish(readable), OperationStatus::kComplete);
        target.expect_pattern(seed);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(ManyOperations, InFlightAtOnceAllComplete) {
  constexpr std::uint32_t kCount = 256;
  Connector exposer;
  Connector initiator;
  std::vector<Buffer> targets;
  std::vector<ReadableOperation> readables;
  std::vector<ReadOperation> reads;
  std::vector<Buffer> sources;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    sources.emplace_back(10'000, i);
    targets.emplace_back(10'000);
    readables.push_back(exposer.create_readable(sources.back().descriptor()));
    reads.push_back(initiator.begin_read(over_the_wire(readables.back()),
                                         targets.back().descriptor()));
  }
  for (std::uint32_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(finish(reads[i]), OperationStatus::kComplete);
    ASSERT_EQ(finish(readables[i]), OperationStatus::kComplete);
    targets[i].expect_pattern(i);
  }
}

TEST(Metadata, StaysUnder750BytesHoweverMuchElseIsExposed) {
  Connector connector;
  Buffer buffer(1 << 20, 8);
  std::vector<ReadableOperation> others;
  for (std::size_t i = 0; i < 256; ++i)
    others.push_back(
        connector.create_readable(buffer.descriptor().slice(i * 4096, 4096)));
  auto readable = connector.create_readable(buffer.descriptor());
  EXPECT_LT(readable.metadata().to_json().size(), 750U);
}

TEST(Metadata, IsTheSameAtEachCallAndReadableInBothForms) {
  Connector connector;
  Buffer source(64, 9);
  Buffer target(64);
  auto readable = connector.create_readable(source.descriptor());
  EXPECT_EQ(readable.metadata(), readable.metadata());
  EXPECT_EQ(readable.metadata().nixl_metadata.substr(0, 6), "b64:eJ");
  EXPECT_EQ(readable.metadata(true).nixl_metadata.substr(0, 4), "789c");
  auto read = connector.begin_read(over_the_wire(readable, true), target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  target.expect_pattern(9);
}

// Set where these tests run a second time.
bool is_host_forbidden() {
  const char* const forbidden = std::getenv("NIXL_CONNECT_FORBID");
  return forbidden != nullptr && std::string(forbidden) == "host";
}

TEST(Path, NamesTheWayThatTheBytesTook) {
  Connector exposer;
  Connector initiator;
  Buffer source(1 << 20, 10);
  Buffer target(1 << 20);
  auto readable = exposer.create_readable(source.descriptor());
  auto read = initiator.begin_read(over_the_wire(readable), target.descriptor());
  ASSERT_EQ(finish(read), OperationStatus::kComplete);
  ASSERT_EQ(finish(readable), OperationStatus::kComplete);
  if (is_host_forbidden())
    EXPECT_EQ(read.path().substr(0, 5), "ucx: ");
  else
    EXPECT_EQ(read.path(), "host.cma");
  EXPECT_EQ(readable.path(), read.path());
}

}  // namespace
}  // namespace nixl_connect
