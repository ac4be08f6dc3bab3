// SPDX-License-Identifier: Apache-2.0
//
// Two Connectors of one process, or one with itself: plain copies, which end with the
// lease.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/local/exposures.h"
#include "runtime/buffers.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect {
namespace {

using testing::Buffer;
using testing::finish;
using testing::kind_of;

class Local : public ::testing::Test {
 protected:
  Connector first_{testing::with_every_path()};
  Connector second_{testing::with_every_path()};
};

TEST_F(Local, AConnectorReadsItsOwnMemory) {
  Buffer source(100'000, 3);
  Buffer target(100'000);
  auto readable = first_.create_readable(source.descriptor());
  auto read = first_.begin_read(readable.metadata(), target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "local");
  target.expect_pattern(3);
  target.expect_guards();
}

// Far more pieces than the exposure looks through for a range that is another one's.
TEST_F(Local, PagesOfManyPiecesAreRead) {
  constexpr std::size_t kPage = 100;
  constexpr std::size_t kPieces = 200;
  Buffer source(2 * kPieces * kPage, 3);
  Buffer target(2 * kPieces * kPage);
  std::vector<Descriptor> pieces;
  std::vector<std::uint64_t> indices;
  for (std::size_t i = 0; i < kPieces; ++i) {
    pieces.push_back(source.descriptor().slice(2 * i * kPage, 2 * kPage));
    indices.push_back(2 * kPieces - 1 - 2 * i);
    indices.push_back(2 * i);
  }
  auto readable = first_.create_readable(pieces);
  auto read = second_.begin_read(RemotePages(readable.metadata(), kPage, indices),
                                 Pages(target.descriptor(), kPage, indices));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "local");
  target.expect_pattern(3);
}

// Whatever the size, and whichever Connector of the process it is.
TEST_F(Local, ATargetThatOverlapsItsSourceIsRefused) {
  for (const std::size_t size : {std::size_t{1'000}, std::size_t{2} << 20}) {
    Buffer memory(size + 100, 1);
    auto readable = first_.create_readable(memory.descriptor().slice(0, size));
    const RdmaMetadata remote = readable.metadata();
    const Descriptor target = memory.descriptor().slice(100, size);
    for (Connector* const each : {&first_, &second_}) {
      EXPECT_EQ(kind_of([&] { each->begin_read(remote, target); }),
                ErrorKind::kInvalidArgument);
      EXPECT_EQ(kind_of([&] { each->begin_read(remote, readable.descriptors()); }),
                ErrorKind::kInvalidArgument)
          << "into itself";
      EXPECT_EQ(kind_of([&] { (void)each->explain(remote, {{target}}); }),
                ErrorKind::kInvalidArgument);
    }
    memory.expect_pattern(1);
    Buffer other(size);
    auto read = second_.begin_read(remote, other.descriptor());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
  }
}

TEST_F(Local, ASourceThatOverlapsItsTargetIsRefusedAmongManyRanges) {
  constexpr std::size_t kCount = 1'000;
  Buffer memory(2 * kCount * 100, 1);
  const Descriptor all = memory.descriptor();
  std::vector<Descriptor> targets;
  std::vector<Descriptor> sources;
  for (std::size_t i = 0; i < kCount; ++i) {
    targets.push_back(all.slice(200 * i, 100));
    sources.push_back(all.slice(200 * (kCount - 1 - i) + 100, 100));
  }
  auto writable = first_.create_writable(targets);
  const RdmaMetadata remote = writable.metadata();
  sources[500] = all.slice(200 * 700 + 1, 100);
  EXPECT_EQ(kind_of([&] { second_.begin_write(sources, remote); }),
            ErrorKind::kInvalidArgument);
  memory.expect_pattern(1);
  sources[500] = all.slice(200 * 700 + 100, 100);
  auto write = second_.begin_write(sources, remote);
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
}

// Metadata in another's hands may name any address: here one that was never exposed,
// under a lease that is alive, and with keys that claim to be of all memory.
TEST_F(Local, MemoryThatIsNotExposedIsNotTouchedByAddressAlone) {
  Buffer exposed(4096, 1);
  Buffer other(4096, 2);
  auto readable = first_.create_readable(exposed.descriptor());
  auto other_readable = first_.create_readable(other.descriptor());
  RdmaMetadata forged = readable.metadata();
  wire::AgentMetadata agent =
      wire::decode(wire::decode_blob_text(forged.nixl_metadata));
  for (wire::Region& region : agent.regions) {
    region.address = 1;
    region.size = ~std::uint64_t{0} >> 1;
  }
  forged.nixl_metadata =
      wire::encode_blob_text(wire::encode(agent), wire::BlobText::kBase64);
  forged.descriptors.at(0).ptr = other.descriptor().ptr();
  Buffer target(4096);
  auto read = second_.begin_read(forged, target.descriptor());
  try {
    (void)read.wait_for(testing::kSoon);
  } catch (const Error&) {
    // Whether other paths find bytes there is up to the kernel and to UCX.
  }
  EXPECT_TRUE(is_terminal(read.status()));
  EXPECT_NE(read.path(), "");
  EXPECT_NE(read.path(), "local");
  readable.cancel();
  other_readable.cancel();
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

TEST(Exposures, TellWhenAGpuHasLetGo) {
  std::vector<std::byte> memory(100);
  const std::vector<Descriptor> descriptors{Descriptor(memory.data(), memory.size())};
  int told = 0;
  paths::local::Exposure exposure(descriptors, [&] { ++told; });
  ASSERT_TRUE(exposure.try_hold());
  ASSERT_TRUE(exposure.try_hold());
  exposure.release();
  EXPECT_TRUE(exposure.is_held());
  exposure.end();
  EXPECT_TRUE(exposure.is_held()) << "end() does not wait for it";
  EXPECT_EQ(told, 0);
  exposure.release();
  EXPECT_FALSE(exposure.is_held());
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(exposure.try_hold());
  EXPECT_FALSE(exposure.is_held());
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
  EXPECT_FALSE(exposure.covers(0, base, 10, Device(DeviceKind::kCuda)));
  EXPECT_FALSE(exposure.covers(0, base, 11));
  EXPECT_FALSE(exposure.covers(1, base + 49, 2));
  EXPECT_FALSE(exposure.covers(7, base + 20, 1));
  EXPECT_FALSE(exposure.covers(0, base + 5, ~std::uint64_t{0}));
}

}  // namespace
}  // namespace nixl_connect
