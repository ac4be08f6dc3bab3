// SPDX-License-Identifier: Apache-2.0
//
// Bytes moved inside one process: what tests/contract does not do on every path.
#include <gtest/gtest.h>

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

// Without that path: by system calls, and over UCX.
class OwnReadable : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Without, OwnReadable, ::testing::Values("local", "host"));

TEST_P(OwnReadable, IsReadByItsConnector) {
  constexpr std::size_t kSize = 65537;
  ConnectorOptions options = testing::with_every_path();
  options.forbid = {GetParam()};
  Connector connector(options);
  Buffer source(kSize, 3);
  Buffer target(kSize);
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
