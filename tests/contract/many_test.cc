// SPDX-License-Identifier: Apache-2.0
//
// Many operations, threads and readers at once.
#include <array>
#include <thread>
#include <utility>
#include <vector>

#include "contract/contract.h"

namespace nixl_connect::contract {
namespace {

class Many : public Contract {
 protected:
  static constexpr std::array<std::size_t, 6> kSizes{0,        100,     4096,
                                                     64 << 10, 300'001, 1 << 20};

  struct Exposed {
    Peer::Theirs theirs;
    std::size_t size;
    std::uint32_t seed;
  };

  std::vector<Exposed> expose_many(std::size_t count) {
    std::vector<Exposed> all;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t size = kSizes[i % kSizes.size()];
      const std::uint32_t seed = next_seed();
      all.push_back({peer_->expose(kind(), one(size), seed), size, seed});
    }
    return all;
  }

  Held begin_on(const Exposed& exposed) {
    return here_.begin(kind(), exposed.theirs.metadata, one(exposed.size),
                       exposed.seed);
  }

  void expect_moved(const Held& ours, const Exposed& exposed) {
    expect_complete(contract::end_of(*ours.operation), exposed.size);
    EXPECT_EQ(ours.arena.differs_from_filled(exposed.seed), "");
  }

  void expect_moved_at_peer(const Exposed& exposed) {
    expect_complete(peer_->end_of(exposed.theirs), exposed.size);
    EXPECT_EQ(peer_->differs_from_filled(exposed.theirs, exposed.seed), "");
  }
};

INSTANTIATE_TEST_SUITE_P(On, Many, each(paths_of_all_tests()), instance_name);

TEST_P(Many, InFlightAtOnceAllComplete) {
  const auto exposed = expose_many(200);
  std::vector<Held> held;
  held.reserve(exposed.size());
  for (const Exposed& each : exposed) held.push_back(begin_on(each));
  for (std::size_t i = 0; i < held.size(); ++i) expect_moved(held[i], exposed[i]);
  for (const Exposed& each : exposed) expect_moved_at_peer(each);
}

TEST_P(Many, OfSeveralThreadsAllComplete) {
  constexpr std::size_t kThreads = 4;
  const auto exposed = expose_many(kThreads * 24);
  std::vector<std::thread> threads;
  for (std::size_t first = 0; first < kThreads; ++first)
    threads.emplace_back([&, first] {
      for (std::size_t i = first; i < exposed.size(); i += kThreads)
        expect_moved(begin_on(exposed[i]), exposed[i]);
    });
  for (std::thread& thread : threads) thread.join();
  for (const Exposed& each : exposed) expect_moved_at_peer(each);
}

// The peer is each time the one that initiates.
TEST_P(Many, PeersShareAnExposureThatWantsSoMany) {
  constexpr std::size_t kSize = 1 << 20;
  const std::uint32_t seed = next_seed();
  const Held ours = here_.expose(kind(), one(kSize), seed, {.readers = 2});
  Peer second(path());
  for (Peer* const peer : {&*peer_, &second}) {
    EXPECT_FALSE(is_terminal(ours.operation->status()));
    const Peer::Theirs theirs = peer->begin(kind(), ours.metadata, one(kSize), seed);
    expect_complete(peer->end_of(theirs), kSize);
    EXPECT_EQ(peer->differs_from_filled(theirs, seed), "");
  }
  expect_complete(contract::end_of(*ours.operation), kSize);
  EXPECT_EQ(ours.arena.differs_from_filled(seed), "");
}

class StaysOpen : public Many {};

INSTANTIATE_TEST_SUITE_P(On, StaysOpen,
                         each(paths_of_all_tests(), {OperationKind::kRead}),
                         instance_name);

TEST_P(StaysOpen, UntilItIsCancelled) {
  constexpr std::size_t kSize = 1 << 20;
  const Exposed open{peer_->expose(kind(), one(kSize), 1, {.stays_open = true}), kSize,
                     1};
  for (int i = 0; i < 3; ++i) expect_moved(begin_on(open), open);
  expect_moved_at_peer(open);
  std::chrono::nanoseconds took{};
  expect_complete(peer_->cancel(open.theirs, took), kSize);
  const Held late = begin_on(open);
  expect_error(contract::end_of(*late.operation), ErrorKind::kCancelled);
}

}  // namespace
}  // namespace nixl_connect::contract
