// SPDX-License-Identifier: Apache-2.0
//
// Bytes moved inside one process: what tests/contract does not do on every path.
#include <gtest/gtest.h>

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

class OwnReadable : public ::testing::TestWithParam<std::size_t> {};

INSTANTIATE_TEST_SUITE_P(Sizes, OwnReadable,
                         ::testing::Values(0, 1, 4097, 65537, (16 << 20) + 1));

TEST_P(OwnReadable, IsReadByItsConnector) {
  Connector connector;
  Buffer source(GetParam(), 3);
  Buffer target(GetParam());
  auto readable = connector.create_readable(source.descriptor());
  auto read = connector.begin_read(over_the_wire(readable), target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
  target.expect_pattern(3);
  target.expect_guards();
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

}  // namespace
}  // namespace nixl_connect
