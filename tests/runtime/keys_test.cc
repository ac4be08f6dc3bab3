// SPDX-License-Identifier: Apache-2.0
//
// Keys of memory that the metadata lacks: asked for, given, and waited for. The memory
// is the host's, as if its keys had been kept back; between hosts that of GPUs comes
// so.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "nixl_connect/connector.h"
#include "runtime/asked_keys.h"
#include "runtime/buffers.h"
#include "runtime/fake_peer.h"
#include "runtime/given_keys.h"

namespace nixl_connect {
namespace {

using std::chrono::milliseconds;
using testing::Buffer;
using testing::FakePeer;
using testing::finish;
using testing::kind_of;

constexpr std::uint32_t kKeysSeed = 4;

wire::AgentMetadata decoded_agent(const RdmaMetadata& metadata) {
  return wire::decode(wire::decode_blob_text(metadata.nixl_metadata));
}

RdmaMetadata without_keys(RdmaMetadata metadata, bool gives_keys = true) {
  wire::AgentMetadata agent = decoded_agent(metadata);
  for (wire::Region& region : agent.regions) region.rkey.clear();
  agent.extension->gives_keys = gives_keys;
  metadata.nixl_metadata =
      wire::encode_blob_text(wire::encode(agent), wire::BlobText::kBase64);
  return metadata;
}

ConnectorOptions by_network() {
  ConnectorOptions options = testing::with_every_path();
  options.forbid = {"host"};
  return options;
}

OperationOptions by_ucx() {
  OperationOptions options;
  options.require = "ucx";
  return options;
}

class KeysOnDemand : public ::testing::Test {
 protected:
  Connector exposer_{by_network()};
  Connector initiator_{by_network()};
};

TEST_F(KeysOnDemand, LeadToMemoryThatIsReadAndWritten) {
  Buffer remote(100'000, kKeysSeed);
  Buffer local(100'000);
  auto readable = exposer_.create_readable(remote.scattered(50, 1000));
  auto read = initiator_.begin_read(without_keys(readable.metadata()),
                                    local.scattered(50, 1000));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path().find("ucx"), 0U) << read.path();
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
  for (const Descriptor& each : local.scattered(50, 1000)) {
    const auto offset = each.ptr() - local.descriptor().ptr();
    ASSERT_EQ(std::memcmp(local.data() + offset, remote.data() + offset, 1000), 0);
  }

  Buffer source(1 << 20, kKeysSeed + 1);
  Buffer target(1 << 20);
  auto writable = exposer_.create_writable(target.descriptor());
  auto write =
      initiator_.begin_write(source.descriptor(), without_keys(writable.metadata()));
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  EXPECT_EQ(finish(writable), OperationStatus::kComplete);
  target.expect_pattern(kKeysSeed + 1);
  target.expect_guards();
}

TEST_F(KeysOnDemand, ComeOverTheLocalChannelAsWell) {
  Connector exposer(testing::across_processes());
  Connector initiator(testing::across_processes());
  Buffer remote(1000, kKeysSeed);
  Buffer local(1000);
  auto readable = exposer.create_readable(remote.descriptor());
  auto read = initiator.begin_read(without_keys(readable.metadata()),
                                   local.descriptor(), by_ucx());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  local.expect_pattern(kKeysSeed);
}

TEST_F(KeysOnDemand, ComeInAsManyMessagesAsTheyNeed) {
  constexpr std::size_t kCount = 3000;
  static_assert(kCount * wire::size_in_message({}) > wire::kMaxKeysBytes);
  Buffer remote(2 * kCount, kKeysSeed);
  Buffer local(2 * kCount);
  auto readable = exposer_.create_readable(remote.scattered(kCount, 1));
  auto read = initiator_.begin_read(without_keys(readable.metadata()),
                                    local.scattered(kCount, 1));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < 2 * kCount; i += 2)
    wrong += local.data()[i] != remote.data()[i];
  EXPECT_EQ(wrong, 0U);
}

TEST_F(KeysOnDemand, AreRefusedWithTheReason) {
  constexpr std::size_t kTooMany = wire::kMaxKeys + 1;
  Buffer remote(2 * kTooMany);
  Buffer local(2 * kTooMany);
  auto readable =
      exposer_.create_readable(remote.scattered(kTooMany, 1), {.readers = 2});
  auto read = initiator_.begin_read(without_keys(readable.metadata()),
                                    local.scattered(kTooMany, 1));
  try {
    (void)read.wait_for(testing::kSoon);
    FAIL() << to_string(read.status());
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_NE(std::string(error.what())
                  .find("ucx: the peer gives no keys of its "
                        "memory: the memory is in more than 4096"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(KeysOnDemand, AreNotAskedForWherePeersDoNotGiveThem) {
  Buffer remote(1000);
  Buffer local(1000);
  auto readable = exposer_.create_readable(remote.descriptor());
  auto read = initiator_.begin_read(without_keys(readable.metadata(), false),
                                    local.descriptor());
  EXPECT_EQ(kind_of([&] { finish(read); }), ErrorKind::kInvalidArgument);
}

// A peer that is asked for keys and answers as the test likes.
class AskingForKeys : public ::testing::Test {
 protected:
  using Answer = std::function<void(FakePeer&, const wire::AskKeys&)>;

  ReadOperation begin_read(FakePeer& peer, const OperationOptions& options = by_ucx()) {
    return initiator_.begin_read(without_keys(peer.metadata_of(readable_)),
                                 local_.descriptor(), options);
  }
  FakePeer::Listener listen(Answer answer) {
    return [this, answer = std::move(answer)](FakePeer& peer,
                                              const wire::ControlBody& body) {
      const auto* asked = std::get_if<wire::AskKeys>(&body);
      if (asked == nullptr) return;
      answer(peer, *asked);
      ++asked_;
    };
  }
  void await_asked() const {
    const auto limit = std::chrono::steady_clock::now() + testing::kSoon;
    while (asked_ == 0 && std::chrono::steady_clock::now() < limit)
      std::this_thread::yield();
    ASSERT_EQ(asked_, 1);
  }
  // As an honest peer answers, in one message.
  wire::Keys keys_for(const wire::AskKeys& asked) {
    wire::Keys keys{asked.operation, asked.first, 1, {}, {}, {}};
    const wire::AgentMetadata agent = decoded_agent(readable_.metadata());
    keys.connection = *agent.connection;
    keys.keys = {
        {agent.regions[0].address, agent.regions[0].size, agent.regions[0].rkey}};
    return keys;
  }
  void expect_failure(const FakePeer::Listener& listener, ErrorKind kind,
                      const char* words) {
    // The end of one before would be that of this peer, whose worker is the same.
    Connector initiator(testing::across_processes());
    FakePeer peer(listener);
    auto read = initiator.begin_read(without_keys(peer.metadata_of(readable_)),
                                     local_.descriptor(), by_ucx());
    try {
      (void)read.wait_for(testing::kSoon);
      FAIL() << to_string(read.status());
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind);
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos)
          << error.what();
    }
    local_.expect_untouched();
  }

  std::atomic<int> asked_{0};
  Buffer remote_{10'000, kKeysSeed};
  Buffer local_{10'000};
  Connector exposer_{testing::across_processes()};
  ReadableOperation readable_ =
      exposer_.create_readable(remote_.descriptor(), {.readers = 100});
  Connector initiator_{testing::across_processes()};
};

TEST_F(AskingForKeys, UsesThoseThatComeAndNothingThatWasNotAskedFor) {
  FakePeer peer(listen([this](FakePeer& self, const wire::AskKeys& asked) {
    wire::Keys other = keys_for(asked);
    other.operation += 1;
    self.say(other);
    other = keys_for(asked);
    other.first = 1;
    self.say(other);
    self.say(keys_for(asked));
    self.say(wire::Keys{asked.operation, 0, 0, {}, {}, "too late"});
  }));
  auto read = begin_read(peer);
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  local_.expect_pattern(kKeysSeed);
}

TEST_F(AskingForKeys, EndsAtOnceWhenItIsCancelledOrLate) {
  FakePeer peer(listen([](FakePeer&, const wire::AskKeys&) {}));
  auto read = begin_read(peer);
  await_asked();
  read.cancel();
  EXPECT_EQ(finish(read), OperationStatus::kCancelled);
  OperationOptions options = by_ucx();
  options.timeout = milliseconds(20);
  auto late = begin_read(peer, options);
  EXPECT_EQ(kind_of([&] { finish(late); }), ErrorKind::kTimedOut);
  local_.expect_untouched();
}

TEST_F(AskingForKeys, EndsWithThePeer) {
  expect_failure(listen([](FakePeer& peer, const wire::AskKeys&) { peer.hang_up(); }),
                 ErrorKind::kDisconnected, "is gone");
}

TEST_F(AskingForKeys, TellsWhyThereAreNone) {
  expect_failure(listen([](FakePeer& peer, const wire::AskKeys& asked) {
                   peer.say(wire::Keys{asked.operation, 0, 0, {}, {}, "it is asleep"});
                 }),
                 ErrorKind::kUnsupported, "gives no keys of its memory: it is asleep");
}

TEST_F(AskingForKeys, IsNotFooledByAnswersThatMakeNoSense) {
  for (const auto& spoil : std::vector<std::function<void(wire::Keys&)>>{
           [](wire::Keys& keys) { keys.count = wire::kMaxKeys + 1; },
           [](wire::Keys& keys) { keys.keys.push_back(keys.keys.front()); },
           [](wire::Keys& keys) { keys.keys.clear(); }})
    expect_failure(listen([this, spoil](FakePeer& peer, const wire::AskKeys& asked) {
                     wire::Keys keys = keys_for(asked);
                     spoil(keys);
                     peer.say(keys);
                   }),
                   ErrorKind::kUnsupported, "its answer makes no sense");
  expect_failure(listen([this](FakePeer& peer, const wire::AskKeys& asked) {
                   wire::Keys keys = keys_for(asked);
                   keys.keys[0].size -= 1;
                   peer.say(keys);
                 }),
                 ErrorKind::kInvalidArgument, "no key of some of the memory");
}

using Parts = std::vector<std::tuple<std::uint64_t, std::uint64_t, std::size_t>>;

Parts parts_of(const runtime::RemoteKeys& keys, std::uint64_t address,
               std::uint64_t size) {
  Parts parts;
  keys.for_each_part({address, size}, [&](std::uint64_t at, std::uint64_t bytes,
                                          const base::Bytes& rkey) {
    parts.emplace_back(at, bytes, rkey.size());
  });
  return parts;
}

TEST(RemoteKeys, CutRangesWhereKeysMeet) {
  const auto key = [](std::uint64_t address, std::uint64_t size, std::size_t rkey) {
    return wire::MemoryKey{address, size, base::Bytes(rkey)};
  };
  const runtime::RemoteKeys keys(
      {}, {key(200, 100, 2), key(100, 100, 1), key(400, 10, 3), key(120, 5, 9),
           key(UINT64_MAX - 5, 100, 8), key(500, 0, 8)});
  EXPECT_EQ(parts_of(keys, 130, 120), (Parts{{130, 70, 1}, {200, 50, 2}}));
  EXPECT_EQ(parts_of(keys, 400, 10), (Parts{{400, 10, 3}}));
  for (const auto& [address, size] : {std::pair<std::uint64_t, std::uint64_t>{99, 2},
                                      {299, 2},
                                      {405, 6},
                                      {500, 1},
                                      {UINT64_MAX - 5, 2}})
    EXPECT_EQ(kind_of([&, at = address, bytes = size] { parts_of(keys, at, bytes); }),
              ErrorKind::kInvalidArgument)
        << address;
}

// As a hostile peer may give them: to look through those before would take a minute.
TEST(RemoteKeys, AreFoundAtOnceAmongManyThatLieWithinOne) {
  constexpr std::uint64_t kMany = 300'000;
  std::vector<wire::MemoryKey> given{{0, 2 * kMany, base::Bytes(7)}};
  for (std::uint64_t i = 0; i < kMany; ++i) given.push_back({2 * i, 1, {}});
  const runtime::RemoteKeys keys({}, std::move(given));
  for (std::uint64_t i = 0; i < kMany; ++i)
    ASSERT_EQ(parts_of(keys, 2 * kMany - 1 - i, 1), (Parts{{2 * kMany - 1 - i, 1, 7}}));
}

TEST(GivenKeys, AreAnsweredFromTheNumberThatIsAskedFor) {
  runtime::GivenKeys given;
  for (std::uint64_t i = 0; i < 3; ++i)
    given.keys.push_back({i, 1, base::Bytes(wire::kMaxKeysBytes / 2 - 20)});
  EXPECT_EQ(given.answer({7, 1, 2, 0}).keys.size(), 2U);
  const wire::Keys rest = given.answer({7, 1, 2, 2});
  EXPECT_EQ(rest.operation, 7U);
  EXPECT_EQ(rest.first, 2U);
  EXPECT_EQ(rest.count, 3U);
  ASSERT_EQ(rest.keys.size(), 1U);
  EXPECT_EQ(rest.keys[0].address, 2U);
  EXPECT_TRUE(given.answer({7, 1, 2, 3}).keys.empty());
  EXPECT_TRUE(given.answer({7, 1, 2, UINT64_MAX}).keys.empty());
  EXPECT_LE(wire::encode({{}, given.answer({7, 1, 2, 0})}).size(),
            wire::kMaxControlBytes);
}

}  // namespace
}  // namespace nixl_connect
