// SPDX-License-Identifier: Apache-2.0
//
// Peers that die, stop, lie, or are left.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <span>

#include "nixl_connect/error.h"
#include "paths/ucx/pattern.h"
#include "paths/ucx/peer.h"
#include "paths/ucx/session.h"

namespace nixl_connect::paths::ucx::testing {
namespace {

// A large get from a peer.
class Get {
 public:
  explicit Get(std::uint64_t size, std::uint64_t remote_offset = 0)
      : remote_(peer_.expose(size, 0)),
        local_(size),
        registration_(session_.context, local_.address(), size),
        endpoint_(session_.worker.connect(peer_.address(),
                                          [this](const std::string&) { ++failures_; })),
        transfer_(endpoint_, Direction::kGet,
                  {{local_.address(), remote_.address + remote_offset, size,
                    &registration_, &endpoint_.remote_key(remote_.rkey)}},
                  false,
                  [this](TransferResult result) { result_ = std::move(result); }) {
    transfer_.start();
  }

  void run_until_under_way() {
    session_.run_until([this] { return transfer_.bytes_done() > 0; });
  }
  const TransferResult& run_to_end() {
    session_.run_until([this] { return result_.has_value(); });
    return *result_;
  }

  Peer& peer() { return peer_; }
  Session& session() { return session_; }
  Endpoint& endpoint() { return endpoint_; }
  std::span<std::byte> local() const { return local_.bytes(); }
  int failures() const { return failures_; }
  bool is_ended() const { return result_.has_value(); }

 private:
  Peer peer_;
  Session session_;
  RemoteMemory remote_;
  Pages local_;
  Registration registration_;
  int failures_ = 0;
  std::optional<TransferResult> result_;
  Endpoint& endpoint_;
  Transfer transfer_;
};

constexpr std::uint64_t kSize = 256 << 20;

TEST(Failure, OfAKilledPeerEndsItsTransfersAndIsToldOnce) {
  Get get(kSize);
  get.run_until_under_way();
  get.peer().process().kill();
  const TransferResult& result = get.run_to_end();
  ASSERT_TRUE(result.failure);
  EXPECT_LT(result.bytes, kSize);
  get.session().run_until([&] { return get.failures() > 0; });
  while (get.session().worker.progress()) {
  }
  EXPECT_EQ(get.failures(), 1);
  EXPECT_TRUE(get.endpoint().is_failed());
}

TEST(Failure, OfAPeerThatDiesIdleIsTold) {
  Get get(4096);
  EXPECT_FALSE(get.run_to_end().failure);
  get.peer().process().kill();
  get.session().run_until([&] { return get.failures() > 0; });
  EXPECT_EQ(get.failures(), 1);
}

TEST(Failure, OfAnEndpointRefusesWhatComesLater) {
  Get get(kSize);
  get.run_until_under_way();
  get.peer().process().kill();
  get.session().run_until([&] { return get.failures() > 0 && get.is_ended(); });

  const Pages pages(4096);
  const Registration registration(get.session().context, pages.address(), 4096);
  const RemoteKey& key = get.endpoint().remote_key(registration.packed_rkey());
  const TransferResult later =
      get.session().run(get.endpoint(), Direction::kPut,
                        {{pages.address(), 0x1000, 4096, &registration, &key}}, true);
  EXPECT_TRUE(later.failure);
  EXPECT_EQ(later.bytes, 0U);
  get.endpoint().send(20, base::Bytes(8));
  while (get.session().worker.progress()) {
  }
  EXPECT_EQ(get.failures(), 1);
}

TEST(Failure, OfAReadOfUnmappedMemoryLeavesBothProcessesAlive) {
  Get get(4096, std::uint64_t{1} << 46);
  EXPECT_TRUE(get.run_to_end().failure);
  EXPECT_EQ(get.run_to_end().bytes, 0U);
  EXPECT_GT(get.peer().expose(4096, 1).address, 0U);  // still answers
}

TEST(Close, EndsTransfersAndTellsNobodyOfAFailure) {
  Get get(kSize);
  get.run_until_under_way();
  get.session().worker.close(get.endpoint());
  EXPECT_FALSE(get.is_ended());
  EXPECT_TRUE(get.run_to_end().failure);
  EXPECT_EQ(get.failures(), 0);
}

TEST(Close, LeavesTheMemoryAloneOnceTransfersHaveEnded) {
  Get get(kSize);
  get.run_until_under_way();
  get.session().worker.close(get.endpoint());
  get.run_to_end();
  const auto touched = get.local().first(64 << 20);
  std::fill(touched.begin(), touched.end(), std::byte{0x5a});
  while (get.session().worker.progress() || !get.session().worker.arm()) {
  }
  EXPECT_EQ(std::count(touched.begin(), touched.end(), std::byte{0x5a}), 64 << 20);
}

TEST(Close, EndsMessagesToAStoppedPeer) {
  Peer peer;
  peer.process().stop();
  // ~Worker waits for the messages, and complains if it waits in vain.
  ::testing::internal::CaptureStderr();
  {
    Session session;
    Endpoint& endpoint = session.worker.connect(peer.address(), nullptr);
    for (int i = 0; i < 1000; ++i) endpoint.send(20, base::Bytes(60'000));
    session.worker.close(endpoint);
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(Worker, DestroyedWithATransferUnderWayEndsItFirst) {
  Peer peer;
  const RemoteMemory remote = peer.expose(kSize, 0);
  const Context context(library_under_test(), {});
  const Pages local(kSize);
  const Registration registration(context, local.address(), kSize);
  std::optional<TransferResult> result;
  std::optional<Transfer> transfer;
  {
    Worker worker(context);
    Endpoint& endpoint = worker.connect(peer.address(), nullptr);
    const Range range{local.address(), remote.address, kSize, &registration,
                      &endpoint.remote_key(remote.rkey)};
    transfer.emplace(endpoint, Direction::kGet, std::vector<Range>{range}, false,
                     [&](TransferResult how) { result = std::move(how); });
    transfer->start();
  }
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->failure);
}

}  // namespace
}  // namespace nixl_connect::paths::ucx::testing
