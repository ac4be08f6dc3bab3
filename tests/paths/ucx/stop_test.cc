// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "paths/ucx/pattern.h"
#include "paths/ucx/peer.h"
#include "paths/ucx/session.h"

namespace nixl_connect::paths::ucx::testing {
namespace {

constexpr std::uint64_t kSize = 1 << 30;

bool is_all(std::span<const std::byte> memory, std::byte value) {
  return std::all_of(memory.begin(), memory.end(),
                     [&](std::byte byte) { return byte == value; });
}

class Stop : public ::testing::Test {
 protected:
  // Starts, stops under way, and runs to the end.
  TransferResult stop_under_way(Direction direction) {
    std::optional<TransferResult> result;
    Transfer transfer(endpoint_, direction, {range(kSize)}, true,
                      [&](TransferResult how) { result = std::move(how); });
    transfer.start();
    session_.run_until([&] { return transfer.bytes_done() > 0; });
    transfer.stop();
    session_.run_until([&] { return result.has_value(); });
    return *std::move(result);
  }

  Range range(std::uint64_t size) const {
    return {local_.address(), remote_.address, size, &registration_, &key_};
  }

  Peer peer_;
  Session session_;
  RemoteMemory remote_ = peer_.expose(kSize, 0);  // reads as zeros
  Pages local_{kSize};
  Registration registration_{session_.context, local_.address(), kSize};
  Endpoint& endpoint_ = session_.worker.connect(peer_.address(), nullptr);
  const RemoteKey& key_ = endpoint_.remote_key(remote_.rkey);
};

TEST_F(Stop, OfALargeGetEndsItEarlyAndLeavesTheMemoryAlone) {
  constexpr std::uint64_t kSoon = 64 << 20;
  const TransferResult result = stop_under_way(Direction::kGet);
  EXPECT_EQ(result.failure, "stopped");
  EXPECT_GT(result.bytes, 0U);
  EXPECT_LT(result.bytes, kSoon);

  // Whatever UCX still had to do on this endpoint is behind it after a round of other
  // work there.
  const auto touched = local_.bytes().first(kSoon);
  std::fill(touched.begin(), touched.end(), std::byte{0x5a});
  const Pages elsewhere(1 << 20);
  const Registration registration(session_.context, elsewhere.address(), 1 << 20);
  for (int i = 0; i < 100; ++i)
    session_.run(
        endpoint_, Direction::kGet,
        {{elsewhere.address(), remote_.address, 1 << 20, &registration, &key_}}, true);
  EXPECT_TRUE(is_all(touched, std::byte{0x5a}));
}

TEST_F(Stop, OfALargePutFlushesWhatHasLeft) {
  const TransferResult result = stop_under_way(Direction::kPut);
  EXPECT_EQ(result.failure, "stopped");
  EXPECT_GT(result.bytes, 0U);  // counted only behind a flush
  EXPECT_LT(result.bytes, kSize);
}

TEST_F(Stop, BeforeTheStartMovesNothing) {
  std::optional<TransferResult> result;
  Transfer transfer(endpoint_, Direction::kGet, {range(4096)}, false,
                    [&](TransferResult how) { result = std::move(how); });
  transfer.stop();
  transfer.start();
  session_.run_until([&] { return result.has_value(); });
  EXPECT_EQ(result->failure, "stopped");
  EXPECT_EQ(result->bytes, 0U);
}

TEST_F(Stop, AfterTheLastRequestWasPostedIsNoFailure) {
  std::optional<TransferResult> result;
  Transfer transfer(endpoint_, Direction::kPut, {range(4096)}, true,
                    [&](TransferResult how) { result = std::move(how); });
  transfer.start();
  transfer.stop();
  session_.run_until([&] { return result.has_value(); });
  EXPECT_FALSE(result->failure);
  EXPECT_EQ(result->bytes, 4096U);
}

TEST_F(Stop, ByDestructionTellsNobody) {
  bool is_told = false;
  auto transfer =
      std::make_unique<Transfer>(endpoint_, Direction::kGet, std::vector{range(kSize)},
                                 false, [&](const TransferResult&) { is_told = true; });
  transfer->start();
  transfer.reset();
  session_.run(endpoint_, Direction::kGet, {range(1 << 20)}, true);
  EXPECT_FALSE(is_told);
}

}  // namespace
}  // namespace nixl_connect::paths::ucx::testing
