// SPDX-License-Identifier: Apache-2.0
//
// Peers that die, that stand still, and that take their memory away: an Error, soon,
// and nobody else is hurt.
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "contract/contract.h"

namespace nixl_connect::contract {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A second of UCX's keepalive, and time to be scheduled in.
constexpr seconds kNoticed{3};

class DeadPeer : public Contract {};

INSTANTIATE_TEST_SUITE_P(On, DeadPeer, each(two_process_paths()), instance_name);

TEST_P(DeadPeer, ThatExposesEndsTheTransferAndTheNextPeerWorks) {
  for (; may_try(); missed()) {
    UnderWay under_way = begin_large();
    const auto start = Clock::now();
    peer_->process().kill();
    const Ending ending = end_of(*under_way.ours.operation);
    const auto took = Clock::now() - start;
    renew_peer();
    if (ending.status == OperationStatus::kComplete) continue;
    expect_error(ending, ErrorKind::kDisconnected);
    EXPECT_LT(took, kNoticed);
    under_way.ours.arena.clear();
    expect_moves(one(1 << 20), one(1 << 20));
    EXPECT_EQ(under_way.ours.arena.differs_from_cleared(), "");
    return;
  }
  FAIL() << "no peer died in the middle of a transfer";
}

TEST_P(DeadPeer, FailsALaterTransferAndTheNextPeerWorks) {
  const std::uint32_t seed = next_seed();
  const Peer::Theirs theirs = peer_->expose(kind(), one(4096), seed, {.readers = 2});
  const Held first = here_.begin(kind(), theirs.metadata, one(4096), seed);
  expect_complete(end_of(*first.operation), 4096);
  peer_->process().kill();
  const Held late = here_.begin(kind(), theirs.metadata, one(4096), seed);
  const auto ending = end_of(*late.operation);
  // Mapped memory is still there, and its lease, until the death is noticed.
  if (!path().is_mapped || ending.status != OperationStatus::kComplete)
    expect_error(ending, ErrorKind::kDisconnected);
  renew_peer();
  expect_moves(one(4096), one(4096));
}

class DeadInitiator : public Contract {};

INSTANTIATE_TEST_SUITE_P(Reads, DeadInitiator,
                         each(paths_that_survive_readers(), {OperationKind::kRead}),
                         instance_name);
INSTANTIATE_TEST_SUITE_P(Writes, DeadInitiator,
                         each(two_process_paths(), {OperationKind::kWrite}),
                         instance_name);

TEST_P(DeadInitiator, EndsTheExposureAndTheNextPeerWorks) {
  for (; may_try(); missed()) {
    Held ours = here_.expose(kind(), large_ranges(), next_seed());
    peer_->begin(kind(), ours.metadata, large_ranges(), next_seed(), by_pieces());
    while (ours.operation->status() == OperationStatus::kInitialized)
      std::this_thread::yield();
    const auto start = Clock::now();
    peer_->process().kill();
    const Ending ending = end_of(*ours.operation);
    const auto took = Clock::now() - start;
    renew_peer();
    if (ending.status == OperationStatus::kComplete) continue;
    expect_error(ending, ErrorKind::kDisconnected);
    EXPECT_LT(took, kNoticed);
    ours.arena.clear();
    expect_moves(one(1 << 20), one(1 << 20));
    EXPECT_EQ(ours.arena.differs_from_cleared(), "");
    return;
  }
  FAIL() << "no peer died in the middle of a transfer";
}

class StoppedPeer : public Contract {
 protected:
  void SetUp() override {
    theirs_ = peer_->expose(kind(), one(4096), next_seed());
    peer_->process().stop();
  }

  Peer::Theirs theirs_;
};

// Reads may need nothing of a peer that stands still.
INSTANTIATE_TEST_SUITE_P(On, StoppedPeer,
                         each(two_process_paths(), {OperationKind::kWrite}),
                         instance_name);

TEST_P(StoppedPeer, IsWaitedForUntilTheDeadline) {
  const auto start = Clock::now();
  const Held write = here_.begin(kind(), theirs_.metadata, one(4096), next_seed(),
                                 {.timeout = milliseconds(100)});
  expect_error(end_of(*write.operation), ErrorKind::kTimedOut);
  EXPECT_LT(Clock::now() - start, seconds(5));
}

TEST_P(StoppedPeer, DoesNotKeepAConnectorFromClosing) {
  ConnectorOptions options = path().options_here();
  options.drain_timeout = ConnectorOptions().drain_timeout;
  Side here(path().here, options);
  const Held write = here.begin(kind(), theirs_.metadata, one(4096), next_seed());
  here.connector().close();
  EXPECT_TRUE(is_terminal(write.operation->status()));
}

// Nothing is under way between the two, so that only their connection can tell.
TEST_P(StoppedPeer, ThatDiesIsNoticed) {
  const Held write = here_.begin(kind(), theirs_.metadata, one(4096), next_seed());
  EXPECT_FALSE(write.operation->wait_for(milliseconds(20)));
  peer_->process().signal(SIGKILL);
  expect_error(end_of(*write.operation), ErrorKind::kDisconnected);
}

class LostMemory : public Contract {
 protected:
  void unmap_at_peer(const Peer::Theirs& theirs) {
    try {
      peer_->unmap(theirs);
    } catch (const std::exception&) {
      // It can die of it before it answers.
      if (!path().kills_owner_on_munmap) throw;
    }
  }
  void expect_peer_to_work_or_to_be_gone() {
    if (path().kills_owner_on_munmap) renew_peer();
    expect_moves(one(1 << 20), one(1 << 20));
  }
};

// Within one process it would be a fault of that, as with memcpy. What comes of memory
// of a GPU that is freed while other processes have it open, CUDA leaves undefined.
std::vector<Path> paths_that_can_lose_memory() {
  std::vector<Path> paths = two_process_paths();
  std::erase_if(paths, [](const Path& path) { return is_of_gpu(path.there); });
  return paths;
}

INSTANTIATE_TEST_SUITE_P(On, LostMemory, each(paths_that_can_lose_memory()),
                         instance_name);

TEST_P(LostMemory, OfAPeerFailsTheTransfer) {
  constexpr std::size_t kSize = 1 << 20;
  const std::uint32_t seed = next_seed();
  const Peer::Theirs theirs = peer_->expose(kind(), one(kSize), seed);
  unmap_at_peer(theirs);
  const Held ours = here_.begin(kind(), theirs.metadata, one(kSize), seed);
  const Ending ending = end_of(*ours.operation);
  if (path().is_mapped) {
    expect_complete(ending, kSize);
    EXPECT_EQ(ours.arena.differs_from_filled(seed), "");
  } else {
    expect_error(ending, ErrorKind::kDisconnected);
  }
  expect_peer_to_work_or_to_be_gone();
}

TEST_P(LostMemory, InTheMiddleOfATransferFailsIt) {
  for (; may_try(); missed()) {
    UnderWay under_way = begin_large();
    unmap_at_peer(under_way.theirs);
    const Ending ending = end_of(*under_way.ours.operation);
    expect_peer_to_work_or_to_be_gone();
    if (path().is_mapped) return expect_complete(ending, under_way.ours.arena.size());
    if (ending.status == OperationStatus::kComplete) continue;
    return expect_error(ending, ErrorKind::kDisconnected);
  }
  FAIL() << "no memory was lost in the middle of a transfer";
}

std::vector<Path> paths_that_report_bad_local_memory() {
  std::vector<Path> paths;
  for (const Path& path : all_paths())
    if (path.reports_bad_local_memory) paths.push_back(path);
  return paths;
}

class BadLocalMemory : public Contract {};

INSTANTIATE_TEST_SUITE_P(On, BadLocalMemory, each(paths_that_report_bad_local_memory()),
                         instance_name);

TEST_P(BadLocalMemory, EndsItsOperationAndNoOther) {
  const Peer::Theirs theirs = peer_->expose(kind(), one(large()), next_seed());
  const Arena gone(path().here, one(large()));
  gone.unmap();
  const Held ours = here_.begin(kind(), theirs.metadata, gone);
  expect_error(end_of(*ours.operation), ErrorKind::kInvalidArgument);
  expect_error(peer_->end_of(theirs), ErrorKind::kCancelled);
  expect_moves(one(1 << 20), one(1 << 20));
}

TEST_P(BadLocalMemory, ThatIsReadOnlyIsASourceAndNoTarget) {
  const std::uint32_t seed = next_seed();
  const Peer::Theirs theirs = peer_->expose(kind(), one(large()), seed);
  const Arena constant(path().here, one(large()));
  constant.fill(seed);
  constant.protect();
  const Held ours = here_.begin(kind(), theirs.metadata, constant);
  if (is_read()) {
    expect_error(end_of(*ours.operation), ErrorKind::kInvalidArgument);
  } else {
    expect_complete(end_of(*ours.operation), large());
    EXPECT_EQ(peer_->differs_from_filled(theirs, seed), "");
  }
  expect_moves(one(1 << 20), one(1 << 20));
}

}  // namespace
}  // namespace nixl_connect::contract
