// SPDX-License-Identifier: Apache-2.0
//
// How operations end: once, on both sides, soon when they are told to, and with memory
// that nothing touches any more.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>
#include <vector>

#include "contract/contract.h"

namespace nixl_connect::contract {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// That this process has got, which does not depend on what else the machine does.
std::chrono::nanoseconds time_of_processors() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

class Ends : public Contract {
 protected:
  // How long it took what was caught in the middle to end, until that is known of
  // enough. The quickest one counts: the others may have waited for a processor.
  class Caught {
   public:
    bool is_enough() const { return times_.size() == 3; }
    void note(std::chrono::nanoseconds time) { times_.push_back(time); }
    void expect_within(milliseconds limit) const {
      ASSERT_TRUE(is_enough()) << "too few transfers were caught in the middle";
      EXPECT_LT(*std::min_element(times_.begin(), times_.end()), limit);
    }

   private:
    std::vector<std::chrono::nanoseconds> times_;
  };

  milliseconds soon() const {
    constexpr milliseconds kScheduling{kIsSanitized ? 200 : 100};
    return path().stops_within + kScheduling;
  }

  static void expect_told(const Watch::Told& told, OperationStatus status) {
    EXPECT_EQ(told.calls, 1);
    EXPECT_EQ(told.ends, std::vector<std::string>(1 + Watch::kThreads,
                                                  std::string(to_string(status))));
  }

  // All bytes may have arrived all the same.
  static void expect_cancelled(const Ending& ending) {
    EXPECT_EQ(ending.status, OperationStatus::kCancelled) << ending.text;
  }
};

INSTANTIATE_TEST_SUITE_P(On, Ends, each(paths_of_all_tests()), instance_name);

TEST_P(Ends, AreToldOnceToEverybodyOnBothSides) {
  const std::uint32_t seed = next_seed();
  const Peer::Theirs theirs = peer_->expose(kind(), one(large()), seed);
  peer_->watch(theirs);
  const Held ours = here_.begin(kind(), theirs.metadata, one(large()), seed);
  Watch watch(ours.operation);
  expect_told(watch.told(), OperationStatus::kComplete);
  expect_told(peer_->told(theirs), OperationStatus::kComplete);
  expect_complete(end_of(*ours.operation), large());
  expect_complete(peer_->end_of(theirs), large());
  if (!is_read()) return;
  const auto& read = static_cast<const ReadOperation&>(*ours.operation);
  ASSERT_EQ(read.results().size(), 1U);
  EXPECT_EQ(read.results()[0].ptr(), ours.arena.descriptors()[0].ptr());
}

TEST_P(Ends, ByACancelAreToldOnceToEverybodyOnBothSides) {
  for (; may_try(); missed()) {
    UnderWay under_way = begin_large();
    Watch watch(under_way.ours.operation);
    peer_->watch(under_way.theirs);
    under_way.ours.operation->cancel();
    const Watch::Told told = watch.told();
    const Watch::Told told_to_peer = peer_->told(under_way.theirs);
    peer_->drop(under_way.theirs);
    if (under_way.ours.operation->status() == OperationStatus::kComplete) continue;
    expect_told(told, OperationStatus::kCancelled);
    return expect_told(told_to_peer, OperationStatus::kErrored);
  }
  FAIL() << "no transfer was caught in the middle";
}

TEST_P(Ends, SoonAfterACancelHere) {
  Caught caught;
  while (may_try() && !caught.is_enough()) {
    UnderWay under_way = begin_large();
    const auto start = time_of_processors();
    under_way.ours.operation->cancel();
    const Ending ending = end_of(*under_way.ours.operation);
    const auto took = time_of_processors() - start;
    const Ending of_peer = peer_->end_of(under_way.theirs);
    if (ending.status != OperationStatus::kComplete) {
      caught.note(took);
      expect_cancelled(ending);
      expect_error(of_peer, ErrorKind::kCancelled);
      expect_quiet(under_way);
    } else {
      missed();
    }
    peer_->drop(under_way.theirs);
  }
  const int threads = std::clamp<int>(std::thread::hardware_concurrency(), 1, 8);
  caught.expect_within(path().stops_within * threads * (kIsSanitized ? 10 : 1));
}

TEST_P(Ends, SoonAfterACancelOfThePeers) {
  Caught caught;
  while (may_try() && !caught.is_enough()) {
    UnderWay under_way = begin_large();
    std::chrono::nanoseconds took{};
    const Ending of_peer = peer_->cancel(under_way.theirs, took);
    const Ending ending = end_of(*under_way.ours.operation);
    if (of_peer.status == OperationStatus::kCancelled &&
        ending.status != OperationStatus::kComplete) {
      caught.note(took);
      expect_cancelled(of_peer);
      expect_error(ending, ErrorKind::kCancelled);
      expect_quiet(under_way);
    } else {
      missed();
    }
    peer_->drop(under_way.theirs);
  }
  caught.expect_within(soon());
}

TEST_P(Ends, SoonAfterADeadlineHere) {
  // From the creation on. Neither before the first bytes nor after the last ones.
  constexpr std::chrono::microseconds kShortest{500};
  std::chrono::microseconds timeout = milliseconds(4);
  Caught caught;
  while (may_try() && !caught.is_enough()) {
    UnderWay under_way = begin_large({.timeout = timeout});
    const Ending ending = end_of(*under_way.ours.operation);
    const auto took = Clock::now() - under_way.begun - timeout;
    if (ending.status == OperationStatus::kComplete) {
      timeout = std::max(timeout / 2, kShortest);
      missed();
    } else if (ending.bytes == 0) {
      timeout *= 2;
    } else {  // and the peer knows of it
      caught.note(took);
      expect_error(ending, ErrorKind::kTimedOut);
      expect_error(peer_->end_of(under_way.theirs), ErrorKind::kCancelled);
      expect_quiet(under_way);
    }
    peer_->drop(under_way.theirs);
  }
  caught.expect_within(soon());
}

// One transfer after the other, until the deadline meets one.
TEST_P(Ends, AfterADeadlineOfThePeers) {
  const std::uint32_t seed = next_seed();
  const Peer::Theirs theirs = peer_->expose(
      kind(), one(large()), seed, {.timeout = milliseconds(100), .readers = 1'000'000});
  const Arena arena(path().here, one(large()));
  arena.fill(seed);
  Ending ending;
  do {
    const Held ours = here_.begin(kind(), theirs.metadata, arena);
    ending = end_of(*ours.operation);
  } while (ending.status == OperationStatus::kComplete);
  expect_error(ending, ErrorKind::kCancelled);
  expect_error(peer_->end_of(theirs), ErrorKind::kTimedOut);
  UnderWay ended{theirs, {arena, nullptr}, {}};
  expect_quiet(ended);
}

TEST_P(Ends, BeforeTheTransferByACancelOfThePeers) {
  const Peer::Theirs theirs = peer_->expose(kind(), one(large()), next_seed());
  std::chrono::nanoseconds took{};
  expect_cancelled(peer_->cancel(theirs, took));
  if (!is_read()) peer_->clear(theirs);
  const Held late = here_.begin(kind(), theirs.metadata, one(large()), next_seed());
  expect_error(end_of(*late.operation), ErrorKind::kCancelled);
  if (is_read()) return;
  EXPECT_EQ(peer_->differs_from_cleared(theirs), "");
}

TEST_P(Ends, OnlyOnceThoughCancelledAfterwards) {
  constexpr std::size_t kSize = 1 << 20;
  const std::uint32_t seed = next_seed();
  const Peer::Theirs theirs = peer_->expose(kind(), one(kSize), seed);
  const Held ours = here_.begin(kind(), theirs.metadata, one(kSize), seed);
  expect_complete(end_of(*ours.operation), kSize);
  ours.operation->cancel();
  expect_complete(end_of(*ours.operation), kSize);
  expect_complete(peer_->end_of(theirs), kSize);
  std::chrono::nanoseconds took{};
  expect_complete(peer_->cancel(theirs, took), kSize);
  EXPECT_EQ(ours.arena.differs_from_filled(seed), "");
  EXPECT_EQ(peer_->differs_from_filled(theirs, seed), "");
}

}  // namespace
}  // namespace nixl_connect::contract
