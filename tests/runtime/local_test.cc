// SPDX-License-Identifier: Apache-2.0
//
// Two Connectors of one process, or one with itself: plain copies, which end with the
// lease.
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <optional>
#include <thread>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/local/exposures.h"
#include "runtime/buffers.h"

namespace nixl_connect {
namespace {

using testing::Buffer;
using testing::finish;

class Local : public ::testing::Test {
 protected:
  void expect_read(Connector& from, Connector& to, std::size_t size) {
    Buffer source(size, 3);
    Buffer target(size);
    auto readable = from.create_readable(source.descriptor());
    auto read = to.begin_read(readable.metadata(), target.descriptor());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(finish(readable), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "local");
    target.expect_pattern(3);
    target.expect_guards();
  }

  Connector first_{testing::with_every_path()};
  Connector second_{testing::with_every_path()};
};

TEST_F(Local, ReadsGoWithoutTheKernel) {
  for (const std::size_t size : {0UL, 1UL, 4097UL, 3UL << 20, (40UL << 20) + 7})
    expect_read(first_, second_, size);
}

TEST_F(Local, AConnectorReadsItsOwnMemory) { expect_read(first_, first_, 100'000); }

TEST_F(Local, WritesGoTheSameWay) {
  Buffer source(1 << 20, 5);
  Buffer target(1 << 20);
  auto writable = first_.create_writable(target.descriptor());
  auto write = second_.begin_write(source.descriptor(), writable.metadata());
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  EXPECT_EQ(finish(writable), OperationStatus::kComplete);
  EXPECT_EQ(write.path(), "local");
  target.expect_pattern(5);
  target.expect_guards();
}

TEST_F(Local, ScatteredRangesArriveEachInItsPlace) {
  Buffer source(2'000 * 65, 9);
  Buffer target(2'000 * 65);
  auto readable = first_.create_readable(source.scattered(2'000, 64));
  auto read = second_.begin_read(readable.metadata(), target.scattered(2'000, 64));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "local");
  for (std::size_t i = 0; i < 2'000 * 65; ++i)
    ASSERT_EQ(target.data()[i], i % 65 < 64 ? source.data()[i] : 0) << i;
}

TEST_F(Local, MemoryMayOverlapItself) {
  Buffer memory(300'000, 1);
  std::vector<std::uint8_t> before(memory.data(), memory.data() + 200'000);
  auto readable = first_.create_readable(memory.descriptor().slice(0, 200'000));
  auto read = second_.begin_read(readable.metadata(),
                                 memory.descriptor().slice(1'000, 200'000));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  memory.expect_guards();
}

// Metadata in another's hands may name any address: here one that was never exposed,
// under a lease that is alive.
TEST_F(Local, MemoryThatIsNotExposedIsNotTouchedByAddressAlone) {
  Buffer exposed(4096, 1);
  Buffer other(4096, 2);
  auto readable = first_.create_readable(exposed.descriptor());
  auto other_readable = first_.create_readable(other.descriptor());
  RdmaMetadata forged = readable.metadata();
  forged.descriptors[0].ptr = other.descriptor().ptr();
  Buffer target(4096);
  try {
    auto read = second_.begin_read(forged, target.descriptor());
    read.wait();
    EXPECT_NE(read.path(), "local");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
  }
  readable.cancel();
  other_readable.cancel();
}

TEST_F(Local, ALeaseThatHasEndedIsNoWayIn) {
  Buffer source(4096, 1);
  Buffer target(4096);
  std::optional<ReadableOperation> readable(
      first_.create_readable(source.descriptor()));
  const RdmaMetadata metadata = readable->metadata();
  readable->cancel();
  EXPECT_EQ(finish(*readable), OperationStatus::kCancelled);
  auto read = second_.begin_read(metadata, target.descriptor());
  EXPECT_EQ(testing::kind_of([&] { read.wait(); }), ErrorKind::kCancelled);
  EXPECT_NE(read.path(), "local");
}

// Whoever exposes memory may free it as soon as its operation is terminal, whatever the
// other Connector does: under a sanitizer, a copy that went on would be a fault.
TEST_F(Local, NothingTouchesTheMemoryOnceItsOperationHasEnded) {
  constexpr std::size_t kSize = 8 << 20;
  Buffer target(kSize);
  for (int round = 0; round < 20; ++round) {
    auto source = std::make_unique<std::vector<std::uint8_t>>(kSize, 1);
    auto readable = first_.create_readable(Descriptor(source->data(), kSize));
    auto read = second_.begin_read(readable.metadata(), target.descriptor());
    readable.cancel();
    const OperationStatus status = [&] {
      try {
        return finish(readable);
      } catch (const Error&) {
        return OperationStatus::kErrored;
      }
    }();
    EXPECT_TRUE(is_terminal(status));
    source.reset();
    try {
      finish(read);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kCancelled);
    }
  }
}

TEST(Exposures, EndWaitsForWhoeverHoldsOne) {
  std::vector<std::byte> memory(100);
  const std::vector<Descriptor> descriptors{Descriptor(memory.data(), memory.size())};
  constexpr std::uint64_t kToken = 0x1234;
  paths::local::expose(kToken, descriptors);
  const auto exposure = paths::local::find(kToken);
  ASSERT_TRUE(exposure);
  auto held = exposure->hold();
  ASSERT_TRUE(held.owns_lock());
  std::atomic<bool> has_ended{false};
  std::thread ending([&] {
    paths::local::end(kToken);
    has_ended = true;
  });
  // It is found no more before it has ended.
  while (paths::local::find(kToken)) std::this_thread::yield();
  EXPECT_FALSE(has_ended);
  held.unlock();
  ending.join();
  EXPECT_FALSE(exposure->hold().owns_lock());
}

TEST(Exposures, CoverWhatTheirDescriptorsDo) {
  std::vector<std::byte> memory(100);
  const std::vector<Descriptor> descriptors{Descriptor(memory.data(), 10),
                                            Descriptor(memory.data() + 50, 20)};
  const paths::local::Exposure exposure(descriptors);
  const auto base = reinterpret_cast<std::uintptr_t>(memory.data());
  EXPECT_TRUE(exposure.covers(0, base, 10));
  EXPECT_TRUE(exposure.covers(0, base + 10, 0));
  EXPECT_TRUE(exposure.covers(1, base + 55, 15));
  EXPECT_TRUE(exposure.covers(0, base + 50, 20));  // in another order
  EXPECT_FALSE(exposure.covers(0, base, 11));
  EXPECT_FALSE(exposure.covers(1, base + 49, 2));
  EXPECT_FALSE(exposure.covers(7, base + 20, 1));
  EXPECT_FALSE(exposure.covers(0, base + 5, ~std::uint64_t{0}));
}

}  // namespace
}  // namespace nixl_connect
