// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/transfer.h"

#include <gtest/gtest.h>

#include <atomic>

#include "paths/ucx/pattern.h"
#include "paths/ucx/peer.h"
#include "paths/ucx/session.h"

namespace nixl_connect::paths::ucx::testing {
namespace {

// A peer with memory, and memory of the same size here.
class Pair {
 public:
  Pair(std::uint64_t size, std::uint64_t remote_seed)
      : remote_(peer_.expose(size, remote_seed)),
        local_(size),
        registration_(session_.context, local_.address(), size),
        endpoint_(session_.worker.connect(peer_.address(), nullptr)),
        key_(endpoint_.remote_key(remote_.rkey)) {}

  Range range(std::uint64_t local, std::uint64_t remote, std::uint64_t size) const {
    return {local_.address() + local, remote_.address + remote, size, &registration_,
            &key_};
  }
  TransferResult run(Direction direction, std::vector<Range> ranges, bool flush) {
    return session_.run(endpoint_, direction, std::move(ranges), flush);
  }
  std::span<std::byte> local() const { return local_.bytes(); }
  bool remote_matches(std::uint64_t seed) { return peer_.matches(remote_, seed); }
  Session& session() { return session_; }
  Endpoint& endpoint() { return endpoint_; }

 private:
  Peer peer_;
  Session session_;
  RemoteMemory remote_;
  Pages local_;
  Registration registration_;
  Endpoint& endpoint_;
  const RemoteKey& key_;
};

class TransferSizes : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(TransferSizes, AreGotByteForByteAndNotMore) {
  const std::uint64_t size = GetParam();
  Pair pair(size + 2, 7);
  fill(pair.local(), 1);
  const TransferResult result =
      pair.run(Direction::kGet, {pair.range(1, 1, size)}, false);
  ASSERT_FALSE(result.failure) << *result.failure;
  EXPECT_EQ(result.bytes, size);
  EXPECT_TRUE(matches(pair.local().subspan(1, size), 7, 1));
  EXPECT_TRUE(matches(pair.local().first(1), 1, 0));
  EXPECT_TRUE(matches(pair.local().last(1), 1, size + 1));
}

TEST_P(TransferSizes, ArePutByteForByteAndVisibleAfterTheFlush) {
  const std::uint64_t size = GetParam();
  Pair pair(size + 1, 7);
  fill(pair.local(), 8);
  const TransferResult result =
      pair.run(Direction::kPut, {pair.range(0, 0, size + 1)}, true);
  ASSERT_FALSE(result.failure) << *result.failure;
  EXPECT_EQ(result.bytes, size + 1);
  EXPECT_TRUE(pair.remote_matches(8));
}

INSTANTIATE_TEST_SUITE_P(Transfer, TransferSizes,
                         ::testing::Values(0, 1, 8, 4095, 4096, 4097, (64 << 10) - 1,
                                           64 << 10, (64 << 10) + 1, 1 << 20,
                                           64 << 20));

// Every page lands where another one is on the other side.
std::vector<Range> scattered(const Pair& pair, std::uint64_t count,
                             std::uint64_t size) {
  std::vector<Range> ranges;
  for (std::uint64_t i = 0; i < count; ++i)
    ranges.push_back(pair.range(i * size, (i * 7 + 3) % count * size, size));
  return ranges;
}

TEST(Transfer, GetsThousandsOfScatteredRanges) {
  constexpr std::uint64_t kCount = 5000;
  constexpr std::uint64_t kSize = 3000;
  Pair pair(kCount * kSize, 7);
  const TransferResult result =
      pair.run(Direction::kGet, scattered(pair, kCount, kSize), false);
  ASSERT_FALSE(result.failure) << *result.failure;
  EXPECT_EQ(result.bytes, kCount * kSize);
  for (std::uint64_t i = 0; i < kCount; ++i)
    ASSERT_TRUE(matches(pair.local().subspan(i * kSize, kSize), 7,
                        (i * 7 + 3) % kCount * kSize))
        << i;
}

TEST(Transfer, PutsThousandsOfScatteredRanges) {
  constexpr std::uint64_t kCount = 5000;
  constexpr std::uint64_t kSize = 3000;
  Pair pair(kCount * kSize, 7);
  for (std::uint64_t i = 0; i < kCount; ++i)
    for (std::uint64_t at = 0; at < kSize; ++at)
      pair.local()[i * kSize + at] = pattern_byte(9, (i * 7 + 3) % kCount * kSize + at);
  const TransferResult result =
      pair.run(Direction::kPut, scattered(pair, kCount, kSize), true);
  ASSERT_FALSE(result.failure) << *result.failure;
  EXPECT_TRUE(pair.remote_matches(9));
}

TEST(Transfer, TakesMemoryOfTheHostThatIsNotRegistered) {
  constexpr std::uint64_t kSize = 5 << 20;
  Pair pair(kSize, 7);
  Range range = pair.range(0, 0, kSize);
  range.registration = nullptr;
  auto result = pair.run(Direction::kGet, {range}, false);
  ASSERT_FALSE(result.failure) << *result.failure;
  EXPECT_TRUE(matches(pair.local(), 7));
  fill(pair.local(), 8);
  result = pair.run(Direction::kPut, {range}, true);
  ASSERT_FALSE(result.failure) << *result.failure;
  EXPECT_TRUE(pair.remote_matches(8));
}

TEST(Transfer, TellsItsPath) {
  Pair pair(1 << 20, 7);
  for (const std::uint64_t size : {std::uint64_t{64}, std::uint64_t{1} << 20}) {
    for (int i = 0; i < 2; ++i) {
      const auto result = pair.run(Direction::kGet, {pair.range(0, 0, size)}, false);
      EXPECT_EQ(result.path, "ucx: zero-copy cma/memory");
    }
  }
  EXPECT_NE(pair.endpoint().lanes().find("cma/memory"), std::string::npos)
      << pair.endpoint().lanes();
}

TEST(Transfer, EndsInsideProgressEvenIfEmpty) {
  Pair pair(4096, 7);
  int ends = 0;
  Transfer transfer(pair.endpoint(), Direction::kPut, {}, true,
                    [&](const TransferResult& result) {
                      EXPECT_FALSE(result.failure);
                      ++ends;
                    });
  transfer.start();
  EXPECT_EQ(ends, 0);
  EXPECT_TRUE(pair.session().worker.progress());
  EXPECT_EQ(ends, 1);
}

TEST(Transfer, KeepsACounterAtItsProgress) {
  constexpr std::uint64_t kSize = 64 << 20;
  Pair pair(kSize, 7);
  std::atomic<std::uint64_t> counter{0};
  bool is_ended = false;
  Transfer transfer(pair.endpoint(), Direction::kGet, {pair.range(0, 0, kSize)}, false,
                    [&](const TransferResult&) { is_ended = true; });
  transfer.mirror(counter);
  transfer.start();
  pair.session().run_until([&] { return counter > 0; });
  EXPECT_LT(counter, kSize);
  pair.session().run_until([&] { return is_ended; });
  EXPECT_EQ(counter, kSize);
}

TEST(Transfer, MayBeDestroyedByItsEnd) {
  Pair pair(4096, 7);
  std::unique_ptr<Transfer> transfer;
  transfer = std::make_unique<Transfer>(
      pair.endpoint(), Direction::kGet, std::vector<Range>{pair.range(0, 0, 4096)},
      false, [&](const TransferResult&) { transfer.reset(); });
  transfer->start();
  pair.session().run_until([&] { return transfer == nullptr; });
  EXPECT_TRUE(matches(pair.local(), 7));
}

TEST(Transfer, WorksBothWaysOnAnEndpointToItsOwnWorker) {
  constexpr std::uint64_t kSize = 64 << 20;
  Session session;
  const Pages here(kSize);
  const Pages there(kSize);
  const Registration local(session.context, here.address(), kSize);
  const Registration remote(session.context, there.address(), kSize);
  Endpoint& endpoint = session.worker.connect(session.worker.address(), nullptr);
  const RemoteKey& key = endpoint.remote_key(remote.packed_rkey());
  const Range range{here.address(), there.address(), kSize, &local, &key};

  fill(here.bytes(), 4);
  EXPECT_FALSE(session.run(endpoint, Direction::kPut, {range}, true).failure);
  EXPECT_TRUE(matches(there.bytes(), 4));
  fill(there.bytes(), 5);
  EXPECT_FALSE(session.run(endpoint, Direction::kGet, {range}, false).failure);
  EXPECT_TRUE(matches(here.bytes(), 5));
}

}  // namespace
}  // namespace nixl_connect::paths::ucx::testing
