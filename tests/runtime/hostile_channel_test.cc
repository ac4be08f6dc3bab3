// SPDX-License-Identifier: Apache-2.0
//
// Processes of the same user that speak on the local channel as no Connector does.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "base/local_socket.h"
#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "runtime/fake_peer.h"
#include "runtime/local_channels.h"
#include "runtime/resources.h"
#include "wire/control.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::runtime {
namespace {

using testing::Buffer;
using testing::finish;

class HostileChannel : public ::testing::Test {
 protected:
  HostileChannel()
      : agent_(
            wire::decode(wire::decode_blob_text(readable_.metadata().nixl_metadata))) {}

  base::LocalSocket connect() const {
    auto socket = base::LocalSocket::connect("nixl_connect/" +
                                             base::to_hex(agent_.extension->instance));
    EXPECT_TRUE(socket);
    return *std::move(socket);
  }

  wire::ControlMessage hello(const wire::InstanceId& sender,
                             const std::string& name) const {
    return {sender, wire::Hello{name, agent_.connection.value(), "", ""}};
  }
  wire::ControlMessage attach(const wire::InstanceId& sender) const {
    const wire::LeaseRecord& lease = agent_.extension->lease;
    return {sender, wire::Attach{1, lease.id, lease.token, wire::AccessKind::kRead}};
  }

  static void say(const base::LocalSocket& socket,
                  const std::vector<wire::ControlMessage>& messages) {
    base::Bytes payload;
    for (const wire::ControlMessage& message : messages)
      wire::append_to_payload(payload, message);
    EXPECT_EQ(socket.send(payload), base::LocalSocket::Result::kDone);
  }

  // Nothing more comes, whatever this end does.
  static void expect_hung_up(const base::LocalSocket& socket) {
    using Result = base::LocalSocket::Result;
    base::Bytes buffer(LocalChannels::kMaxMessageBytes);
    Result result = Result::kDone;
    while (result == Result::kDone) result = socket.receive(buffer).result;
    EXPECT_EQ(result, Result::kClosed);
  }

  // All that was said before has been heard once this has gone through.
  void expect_honest_peers_to_be_served() {
    Connector initiator(testing::across_processes());
    Buffer source(4096, 6);
    Buffer target(4096);
    auto writable = exposer_.create_writable(target.descriptor());
    auto write = initiator.begin_write(source.descriptor(), writable.metadata());
    EXPECT_EQ(finish(write), OperationStatus::kComplete);
    target.expect_pattern(6);
  }

  Connector exposer_{testing::across_processes()};
  Buffer source_{4096, 5};
  ReadableOperation readable_ =
      exposer_.create_readable(source_.descriptor(), {.readers = 10});
  const wire::AgentMetadata agent_;
};

TEST_F(HostileChannel, SecondHelloEndsIt) {
  const wire::InstanceId sender = random_instance();
  const base::LocalSocket socket = connect();
  say(socket, {hello(sender, "x"), hello(sender, "x"), attach(sender)});
  expect_honest_peers_to_be_served();
  const base::LocalSocket another = connect();
  say(another, {attach(sender)});
  expect_honest_peers_to_be_served();
  expect_hung_up(socket);
}

TEST_F(HostileChannel, HelloOfSomebodyElseEndsIt) {
  const wire::InstanceId first = random_instance();
  const base::LocalSocket socket = connect();
  say(socket, {hello(first, "x"), hello(random_instance(), "y"), attach(first)});
  expect_honest_peers_to_be_served();
  expect_hung_up(socket);
}

// Though nothing else of theirs counts any more.
TEST_F(HostileChannel, LostWritersAreWaitedForUntilTheyTellOfTheirEnd) {
  for (const bool by_message : {true, false}) {
    Buffer target(4096);
    auto writable = exposer_.create_writable(target.descriptor());
    const wire::LeaseRecord lease =
        wire::decode(wire::decode_blob_text(writable.metadata().nixl_metadata))
            .extension->lease;
    const wire::InstanceId sender = random_instance();
    std::optional<base::LocalSocket> socket = connect();
    say(*socket,
        {hello(sender, "x"),
         {sender, wire::Attach{1, lease.id, lease.token, wire::AccessKind::kWrite}},
         hello(sender, "x")});
    expect_honest_peers_to_be_served();
    expect_hung_up(*socket);
    EXPECT_EQ(writable.status(), OperationStatus::kInProgress);
    if (by_message)
      say(*socket, {{sender, wire::Done{1, lease.id, wire::DoneStatus::kComplete, 4096,
                                        "", ""}}});
    else
      socket.reset();
    EXPECT_EQ(testing::kind_of([&] { (void)writable.wait_for(testing::kSoon); }),
              ErrorKind::kDisconnected);
  }
}

TEST_F(HostileChannel, MessagesOfSomebodyElseAreDropped) {
  const wire::InstanceId victim = random_instance();
  const base::LocalSocket honest = connect();
  say(honest, {hello(victim, "honest")});
  const base::LocalSocket socket = connect();
  say(socket, {attach(victim)});
  expect_honest_peers_to_be_served();
  EXPECT_EQ(readable_.status(), OperationStatus::kInitialized);
  say(honest, {attach(victim)});
  expect_honest_peers_to_be_served();
  EXPECT_EQ(readable_.status(), OperationStatus::kInProgress);
}

TEST_F(HostileChannel, ThoseWhoOnlyConnectDoNotKeepOthersOut) {
  std::vector<base::LocalSocket> silent;
  silent.reserve(200);
  for (int i = 0; i < 200; ++i) silent.push_back(connect());
  expect_honest_peers_to_be_served();
  silent.clear();
  expect_honest_peers_to_be_served();
}

TEST_F(HostileChannel, GarbageIsDropped) {
  const base::LocalSocket socket = connect();
  for (std::size_t size = 1; size < 2000; size += 13)
    EXPECT_NE(socket.send(base::Bytes(size, std::byte(size))),
              base::LocalSocket::Result::kClosed);
  expect_honest_peers_to_be_served();
}

// It lives, and takes no messages: what is kept for it would never end.
TEST(DeafPeer, IsLostWhenTooMuchWaitsForIt) {
  std::promise<void> is_over;
  const std::shared_future<void> end = is_over.get_future().share();
  Connector exposer(testing::across_processes());
  Buffer exposed(64, 5);
  auto readable = exposer.create_readable(exposed.descriptor());
  auto writable = exposer.create_writable(exposed.descriptor());
  testing::FakePeer peer(
      [end](testing::FakePeer&, const wire::ControlBody&) { end.wait(); });
  Connector initiator(testing::across_processes());
  Buffer local(64);
  auto write = initiator.begin_write(local.descriptor(), peer.metadata_of(writable));
  const RdmaMetadata metadata = peer.metadata_of(readable);
  constexpr int kTooMany = 10'000;
  for (int i = 0; i < kTooMany && !is_terminal(write.status()); ++i) {
    std::vector<ReadOperation> reads;
    reads.reserve(100);
    for (int k = 0; k < 100; ++k)
      reads.push_back(initiator.begin_read(metadata, local.descriptor()));
    while (!is_terminal(reads.back().status())) std::this_thread::yield();
  }
  is_over.set_value();
  try {
    EXPECT_FALSE(write.wait_for(std::chrono::seconds(1)));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDisconnected);
    EXPECT_NE(std::string(error.what()).find("it does not take its messages"),
              std::string::npos)
        << error.what();
  }
  EXPECT_TRUE(is_terminal(write.status()));
}

}  // namespace
}  // namespace nixl_connect::runtime
