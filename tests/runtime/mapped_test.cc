// SPDX-License-Identifier: Apache-2.0
//
// Memory that peers of this host map: which path it takes, and what becomes of it when
// it goes.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"

namespace nixl_connect {
namespace {

using testing::Buffer;
using testing::finish;
using testing::kind_of;

class Mapped : public ::testing::Test {
 protected:
  static void fill(const Allocation& memory, unsigned seed) {
    for (std::size_t i = 0; i < memory.size(); ++i)
      memory.data()[i] = static_cast<std::byte>(i * 31 + i / 4096 + seed);
  }
  static void expect_filled(std::span<const std::byte> bytes, unsigned seed) {
    for (std::size_t i = 0; i < bytes.size(); ++i)
      ASSERT_EQ(bytes[i], static_cast<std::byte>(i * 31 + i / 4096 + seed)) << i;
  }

  std::vector<std::byte> read_through_the_map(const Allocation& source) {
    std::vector<std::byte> target(source.size());
    auto readable = exposer_.create_readable(source.descriptor());
    auto read =
        initiator_.begin_read(readable.metadata(), {target.data(), target.size()});
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(finish(readable), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "host.map");
    EXPECT_EQ(readable.path(), "host.map");
    EXPECT_EQ(read.bytes_transferred(), target.size());
    return target;
  }

  Connector exposer_{testing::across_processes()};
  Connector initiator_{testing::across_processes()};
};

TEST_F(Mapped, PagesOfSeveralAllocationsArriveInTheirPlaces) {
  constexpr std::size_t kPage = 4096;
  const std::array sources{Connector::allocate(64 * kPage),
                           Connector::allocate(32 * kPage)};
  fill(sources[0], 5);
  fill(sources[1], 6);
  std::vector<Descriptor> scattered;
  for (std::size_t i = 0; i < 32; ++i) {
    scattered.push_back(sources[0].descriptor().slice((63 - 2 * i) * kPage, kPage));
    scattered.push_back(sources[1].descriptor().slice(i * kPage, kPage));
  }
  Buffer target(64 * kPage);
  std::vector<Descriptor> places;
  for (std::size_t i = 0; i < 64; ++i)
    places.push_back(target.descriptor().slice(i * kPage, kPage));
  auto readable = exposer_.create_readable(scattered);
  auto read = initiator_.begin_read(readable.metadata(), places);
  ASSERT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "host.map");
  for (std::size_t i = 0; i < 64; ++i)
    ASSERT_EQ(std::memcmp(target.data() + i * kPage,
                          reinterpret_cast<const void*>(scattered[i].ptr()), kPage),
              0)
        << i;
}

TEST_F(Mapped, BesideOtherMemoryTakesTheOtherPath) {
  const Allocation mapped = Connector::allocate(4096);
  Buffer plain(4096, 8);
  const std::array both{mapped.descriptor(), plain.descriptor()};
  Buffer first(4096);
  Buffer second(4096);
  const std::array targets{first.descriptor(), second.descriptor()};
  auto readable = exposer_.create_readable(both);
  auto read = initiator_.begin_read(readable.metadata(), targets);
  ASSERT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "host.cma");
  second.expect_pattern(8);
}

std::size_t shared_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("RssShmem:", 0) == 0) return std::stoul(line.substr(9));
  return 0;
}

// Peers keep their maps, so that the next allocation finds its memory only if the last
// one has given it back.
TEST_F(Mapped, MemoryThatHasGoneIsGivenBackThoughAPeerHasMappedIt) {
  constexpr std::size_t kSize = 64 << 20;
  const std::size_t before = shared_kib();
  for (int round = 0; round < 8; ++round) {
    const Allocation source = Connector::allocate(kSize);
    fill(source, 9);
    read_through_the_map(source);
  }
  EXPECT_LT(shared_kib(), before + 3 * (kSize >> 10));
}

TEST_F(Mapped, ForkedChildThatLetsGoOfItLeavesItToTheParent) {
  std::optional<Allocation> memory = Connector::allocate(10'000);
  fill(*memory, 2);
  const pid_t child = ::fork();
  if (child == 0) {
    memory.reset();
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  expect_filled(memory->bytes(), 2);
}

TEST_F(Mapped, HugePagesAreTakenIfTheyAreThere) {
  const Allocation memory = Connector::allocate(5'000'000, true);
  EXPECT_EQ(memory.size(), 5'000'000U);
  fill(memory, 1);
  expect_filled(read_through_the_map(memory), 1);
}

TEST_F(Mapped, NothingCannotBeAllocated) {
  EXPECT_EQ(kind_of([] { (void)Connector::allocate(0); }), ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind_of([] { (void)Connector::allocate(~std::size_t{0} >> 1); }),
            ErrorKind::kNoResources);
}

}  // namespace
}  // namespace nixl_connect
