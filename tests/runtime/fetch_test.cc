// SPDX-License-Identifier: Apache-2.0
//
// Operations whose peer has to hand over its memory first: how they wait, and for how
// long.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "runtime/fake_peer.h"
#include "runtime/fetches.h"

namespace nixl_connect {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::Buffer;
using testing::FakePeer;
using testing::finish;
using testing::kind_of;
using testing::on_fetch;

constexpr std::size_t kSize = 10'000;

class Fetching : public ::testing::Test {
 protected:
  Fetching() {
    for (std::size_t i = 0; i < kSize; ++i)
      memory_.data()[i] = static_cast<std::byte>(i * 31 + 1);
  }

  static ConnectorOptions with_patience(milliseconds patience) {
    ConnectorOptions options = testing::across_processes();
    options.drain_timeout = patience;
    return options;
  }
  ReadOperation begin_read(FakePeer& peer, const OperationOptions& options = {}) {
    target_.assign(kSize, std::byte{0});
    return initiator_.begin_read(peer.metadata_of(readable_), {target_.data(), kSize},
                                 options);
  }
  void expect_read(ReadOperation& read, const char* path) {
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), path);
    EXPECT_EQ(read.bytes_transferred(), kSize);
    for (std::size_t i = 0; i < kSize; ++i)
      ASSERT_EQ(target_[i], memory_.data()[i]) << i;
  }
  // Until the peer has been asked, so that the operation waits.
  void await_fetches(int count) const {
    const auto limit = steady_clock::now() + testing::kSoon;
    while (asked_ < count && steady_clock::now() < limit) std::this_thread::yield();
    ASSERT_EQ(asked_, count);
  }

  std::atomic<int> asked_{0};
  const FakePeer::Listener counts_ =
      on_fetch([this](FakePeer&, const wire::Fetch&) { ++asked_; });
  const Allocation memory_ = Connector::allocate(kSize);
  std::vector<std::byte> target_;
  Connector exposer_{testing::across_processes()};
  ReadableOperation readable_ =
      exposer_.create_readable(memory_.descriptor(), {.readers = 100});
  Connector initiator_{with_patience(std::chrono::minutes(1))};
};

TEST_F(Fetching, BringsMemoryThatCannotBeOpened) {
  FakePeer peer(on_fetch([this](FakePeer& self, const wire::Fetch& fetch) {
    ++asked_;
    self.grant(fetch);
  }));
  auto read = begin_read(peer);
  expect_read(read, "host.map");
  EXPECT_EQ(asked_, 2) << "the lease table and the memory";
  auto again = begin_read(peer);
  expect_read(again, "host.map");
  EXPECT_EQ(asked_, 2) << "both are kept";
}

TEST_F(Fetching, BringsMemoryToWriteTo) {
  FakePeer peer([](FakePeer& self, const wire::ControlBody& body) {
    if (const auto* fetch = std::get_if<wire::Fetch>(&body)) self.grant(*fetch);
    if (const auto* attach = std::get_if<wire::Attach>(&body))
      self.say(wire::Grant{attach->operation});
  });
  auto writable = exposer_.create_writable(memory_.descriptor());
  std::vector<std::byte> source(kSize, std::byte{0x55});
  auto write =
      initiator_.begin_write({source.data(), kSize}, peer.metadata_of(writable));
  ASSERT_EQ(finish(write), OperationStatus::kComplete);
  EXPECT_EQ(write.path(), "host.map");
  EXPECT_EQ(std::memcmp(memory_.data(), source.data(), kSize), 0);
}

TEST_F(Fetching, AsksOnceForAllThatWait) {
  std::vector<wire::Fetch> asked;
  std::promise<void> go_on;
  FakePeer peer(on_fetch([&](FakePeer& self, const wire::Fetch& fetch) {
    asked.push_back(fetch);
    ++asked_;
    if (asked.size() < 2) return;
    go_on.get_future().wait();
    for (const wire::Fetch& each : asked) self.grant(each);
  }));
  std::vector<ReadOperation> reads;
  std::vector<Buffer> targets(20, Buffer(kSize));
  for (Buffer& target : targets) {
    target = Buffer(kSize);
    reads.push_back(
        initiator_.begin_read(peer.metadata_of(readable_), target.descriptor()));
  }
  await_fetches(2);
  for (ReadOperation& read : reads) EXPECT_FALSE(is_terminal(read.status()));
  go_on.set_value();
  for (ReadOperation& read : reads) {
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "host.map");
  }
  EXPECT_EQ(asked_, 2);
}

TEST_F(Fetching, OfSeveralAllocationsWaitsForTheLast) {
  FakePeer peer(
      on_fetch([](FakePeer& self, const wire::Fetch& fetch) { self.grant(fetch); }));
  const Allocation second = Connector::allocate(kSize);
  std::memset(second.data(), 0x33, kSize);
  const std::array both{memory_.descriptor(), second.descriptor()};
  auto readable = exposer_.create_readable(both);
  Buffer first_target(kSize);
  Buffer second_target(kSize);
  const std::array targets{first_target.descriptor(), second_target.descriptor()};
  auto read = initiator_.begin_read(peer.metadata_of(readable), targets);
  ASSERT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "host.map");
  EXPECT_EQ(std::memcmp(first_target.data(), memory_.data(), kSize), 0);
  EXPECT_EQ(std::memcmp(second_target.data(), second.data(), kSize), 0);
}

// The peer answers when it hears of the last read, behind everything that was asked.
TEST_F(Fetching, AsksForSomeAtATimeOnly) {
  constexpr std::size_t kReads = 4;
  std::vector<wire::Fetch> asked;
  std::size_t attached = 0;
  std::atomic<std::size_t> most_asked{0};
  FakePeer peer([&](FakePeer& self, const wire::ControlBody& body) {
    if (const auto* fetch = std::get_if<wire::Fetch>(&body)) asked.push_back(*fetch);
    if (std::holds_alternative<wire::Attach>(body)) ++attached;
    if (attached < kReads) return;
    if (most_asked == 0) most_asked = asked.size();
    for (const wire::Fetch& each : std::exchange(asked, {})) self.grant(each);
  });
  std::vector<Allocation> memory;
  std::vector<Descriptor> sources;
  for (std::size_t i = 0; i < wire::kMaxExports * kReads; ++i) {
    memory.push_back(Connector::allocate(1));
    memory.back().data()[0] = static_cast<std::byte>(i);
    sources.push_back(memory.back().descriptor());
  }
  Buffer target(sources.size());
  std::vector<ReadableOperation> readables;
  std::vector<ReadOperation> reads;
  for (std::size_t i = 0; i < sources.size(); i += wire::kMaxExports) {
    readables.push_back(
        exposer_.create_readable(std::span(sources).subspan(i, wire::kMaxExports)));
    std::vector<Descriptor> targets;
    for (std::size_t j = 0; j < wire::kMaxExports; ++j)
      targets.push_back(target.descriptor().slice(i + j, 1));
    reads.push_back(initiator_.begin_read(peer.metadata_of(readables.back()), targets));
  }
  for (ReadOperation& read : reads) {
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "host.map");
  }
  for (std::size_t i = 0; i < sources.size(); ++i) EXPECT_EQ(target.data()[i], i);
  EXPECT_EQ(most_asked, runtime::Fetches::kMostAsked);
}

// The first to ask is refused, as if its lease had ended, and the other one waits for
// the same memory.
TEST_F(Fetching, GoesOnForThoseWhoseOwnLeaseWasNotRefused) {
  std::vector<wire::Fetch> asked;
  int attached = 0;
  FakePeer peer([&](FakePeer& self, const wire::ControlBody& body) {
    if (std::holds_alternative<wire::Attach>(body)) ++attached;
    const auto* fetch = std::get_if<wire::Fetch>(&body);
    if (fetch != nullptr && fetch->what == wire::kLeaseTableId)
      return self.grant(*fetch);
    if (fetch != nullptr) asked.push_back(*fetch);
    if (attached < 2) return;
    for (const wire::Fetch& each : std::exchange(asked, {}))
      if (++asked_ == 1)
        self.say(wire::FetchedRegion{each.what, false});
      else
        self.grant(each);
  });
  auto other = exposer_.create_readable(memory_.descriptor(), {.readers = 100});
  auto first = begin_read(peer);
  Buffer second_target(kSize);
  auto second =
      initiator_.begin_read(peer.metadata_of(other), second_target.descriptor());
  expect_read(first, "host.cma");
  ASSERT_EQ(finish(second), OperationStatus::kComplete);
  EXPECT_EQ(second.path(), "host.map");
  EXPECT_EQ(std::memcmp(second_target.data(), memory_.data(), kSize), 0);
  EXPECT_EQ(asked_, 2);
}

TEST_F(Fetching, IsNotDoneWhereThePathIsForbidden) {
  ConnectorOptions options = with_patience(std::chrono::minutes(1));
  options.forbid = {"local", "host.map"};
  Connector without(options);
  std::atomic<bool> is_memory_asked{false};
  FakePeer peer(on_fetch([&](FakePeer&, const wire::Fetch& fetch) {
    if (fetch.what != wire::kLeaseTableId) is_memory_asked = true;
  }));
  target_.resize(kSize);
  auto read = without.begin_read(peer.metadata_of(readable_), {target_.data(), kSize});
  expect_read(read, "host.cma");
  EXPECT_FALSE(is_memory_asked);
}

TEST_F(Fetching, EndsAtOnceWhenTheOperationIsCancelled) {
  FakePeer peer(counts_);
  auto read = begin_read(peer);
  await_fetches(2);
  EXPECT_EQ(read.status(), OperationStatus::kInProgress);
  read.cancel();
  EXPECT_EQ(finish(read), OperationStatus::kCancelled);
  EXPECT_EQ(read.bytes_transferred(), 0U);
}

TEST_F(Fetching, EndsAtTheDeadlineOfTheOperation) {
  FakePeer peer(counts_);
  auto read = begin_read(peer, {.timeout = milliseconds(50)});
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(testing::kSoon); }),
            ErrorKind::kTimedOut);
  EXPECT_EQ(asked_, 2);
}

TEST_F(Fetching, EndsWhenTheExposingSideRevokes) {
  FakePeer peer([](FakePeer& self, const wire::ControlBody& body) {
    if (const auto* attach = std::get_if<wire::Attach>(&body))
      self.say(wire::Revoke{attach->operation, "changed its mind"});
  });
  auto read = begin_read(peer);
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(testing::kSoon); }),
            ErrorKind::kCancelled);
  EXPECT_NE(read.path(), "host.map");
}

TEST_F(Fetching, EndsWhenThePeerIsLost) {
  FakePeer peer(on_fetch([](FakePeer& self, const wire::Fetch&) { self.hang_up(); }));
  auto read = begin_read(peer);
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(testing::kSoon); }),
            ErrorKind::kDisconnected);
}

TEST_F(Fetching, DoesNotKeepAConnectorFromClosing) {
  FakePeer peer(counts_);
  auto initiator = std::make_unique<Connector>(with_patience(std::chrono::minutes(1)));
  target_.resize(kSize);
  auto read =
      initiator->begin_read(peer.metadata_of(readable_), {target_.data(), kSize});
  await_fetches(2);
  const auto start = steady_clock::now();
  initiator.reset();
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(10));
  EXPECT_EQ(read.status(), OperationStatus::kCancelled);
}

class ImpatientFetching : public Fetching {
 protected:
  ImpatientFetching() { initiator_.close(); }

  ReadOperation begin_read(FakePeer& peer) {
    target_.assign(kSize, std::byte{0});
    return impatient_.begin_read(peer.metadata_of(readable_), {target_.data(), kSize});
  }

  Connector impatient_{with_patience(milliseconds(100))};
};

TEST_F(ImpatientFetching, TakesTheNextPathWhereNoAnswerComes) {
  FakePeer peer(counts_);
  const auto start = steady_clock::now();
  auto read = begin_read(peer);
  expect_read(read, "host.cma");
  EXPECT_GE(steady_clock::now() - start, milliseconds(100)) << "it has waited";
  auto next = begin_read(peer);
  expect_read(next, "host.cma");
  EXPECT_EQ(asked_, 2) << "nothing more is asked of such a peer";
}

TEST_F(ImpatientFetching, DoesNotWaitForWhatIsNotAskedForAnyMore) {
  FakePeer peer(on_fetch([this](FakePeer& self, const wire::Fetch& fetch) {
    if (fetch.what == wire::kLeaseTableId)
      self.grant(fetch);
    else
      ++asked_;
  }));
  std::vector<Allocation> memory;
  std::vector<ReadableOperation> readables;
  std::vector<ReadOperation> reads;
  for (std::size_t i = 0; i < runtime::Fetches::kMostAsked + 10; ++i) {
    memory.push_back(Connector::allocate(kSize));
    readables.push_back(exposer_.create_readable(memory.back().descriptor()));
    reads.push_back(impatient_.begin_read(peer.metadata_of(readables.back()),
                                          memory_.descriptor()));
  }
  for (ReadOperation& read : reads) {
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "host.cma");
  }
  // Fewer, if patience with the first is over before all have begun.
  EXPECT_LE(asked_, static_cast<int>(runtime::Fetches::kMostAsked));
}

TEST_F(ImpatientFetching, UsesWhatComesLate) {
  std::vector<wire::Fetch> asked;
  std::atomic<bool> is_late{false};
  FakePeer peer([&](FakePeer& self, const wire::ControlBody& body) {
    if (const auto* fetch = std::get_if<wire::Fetch>(&body)) asked.push_back(*fetch);
    // The Attach of the second read.
    if (!is_late || !std::holds_alternative<wire::Attach>(body)) return;
    for (const wire::Fetch& each : std::exchange(asked, {})) self.grant(each);
  });
  auto read = begin_read(peer);
  expect_read(read, "host.cma");
  is_late = true;
  const auto limit = steady_clock::now() + testing::kSoon;
  std::string path;
  while (path != "host.map" && steady_clock::now() < limit) {
    auto next = begin_read(peer);
    ASSERT_EQ(finish(next), OperationStatus::kComplete);
    path = next.path();
  }
  EXPECT_EQ(path, "host.map");
}

TEST_F(ImpatientFetching, AsksAgainUnderAnotherLease) {
  std::atomic<bool> may_have{false};
  FakePeer peer(on_fetch([&](FakePeer& self, const wire::Fetch& fetch) {
    if (may_have || fetch.what == wire::kLeaseTableId)
      self.grant(fetch);
    else
      self.say(wire::FetchedRegion{fetch.what, false});
  }));
  auto read = begin_read(peer);
  expect_read(read, "host.cma");
  may_have = true;
  auto same_lease = begin_read(peer);
  expect_read(same_lease, "host.cma");
  readable_ = exposer_.create_readable(memory_.descriptor(), {.readers = 100});
  auto another_lease = begin_read(peer);
  expect_read(another_lease, "host.map");
}

}  // namespace
}  // namespace nixl_connect
