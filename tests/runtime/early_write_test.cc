// SPDX-License-Identifier: Apache-2.0
//
// Writes that begin without a Grant, by the lease's word: they wait for nobody, and
// whoever has exposed the memory waits for them, heard of or not.
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <csignal>
#include <future>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/local_socket.h"
#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "runtime/resources.h"
#include "support/child.h"
#include "wire/control.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect {
namespace {

using std::chrono::milliseconds;
using testing::Buffer;
using testing::Channel;
using testing::Child;
using testing::finish;
using testing::kSoon;
using wire::AccessKind;

constexpr milliseconds kAWhile{50};

// Exposes memory for two writes, and tells how the second one ended.
int exposing_role(const Channel& test) {
  Connector connector(testing::across_processes());
  Buffer first(4096);
  Buffer second(4096);
  auto granted = connector.create_writable(first.descriptor());
  auto early = connector.create_writable(second.descriptor());
  test.send(granted.metadata().to_json());
  test.send(early.metadata().to_json());
  const std::string status(to_string(finish(early)));
  second.expect_pattern(7);
  test.send(status);
  return ::testing::Test::HasFailure() ? 1 : 0;
}

TEST(EarlyWrite, NeedsNothingOfAPeerThatHasGrantedOneBefore) {
  Child child("exposing");
  const auto granted = RdmaMetadata::from_json(child.channel().receive_text());
  const auto early = RdmaMetadata::from_json(child.channel().receive_text());
  Connector connector(testing::across_processes());
  Buffer source(4096, 7);
  auto first = connector.begin_write(source.descriptor(), granted);
  EXPECT_EQ(finish(first), OperationStatus::kComplete);
  child.stop();
  auto second = connector.begin_write(source.descriptor(), early);
  EXPECT_TRUE(second.wait_for(kSoon));
  EXPECT_EQ(second.status(), OperationStatus::kComplete);
  child.signal(SIGCONT);
  EXPECT_EQ(child.channel().receive_text(), "DONE");
}

// A process that speaks as a Connector does, when the test says so. It has had a Grant.
class Writer {
 public:
  explicit Writer(Connector& exposer)
      : socket_(base::LocalSocket::connect(
            "nixl_connect/" +
            base::to_hex(extension_of(exposer.create_writable(memory_.descriptor()))
                             .instance))) {
    auto granted = exposer.create_writable(memory_.descriptor());
    say_hello();
    attach(1, granted);
    EXPECT_TRUE(std::holds_alternative<wire::Grant>(hear()));
    say_done(1, granted);
    EXPECT_EQ(finish(granted), OperationStatus::kComplete);
  }

  void say_hello() const { say(wire::Hello{"writer", connection_, "", ""}); }
  void attach(std::uint64_t operation, PassiveOperation& to) const {
    const wire::LeaseRecord lease = extension_of(to).lease;
    say(wire::Attach{operation, lease.id, lease.token, AccessKind::kWrite});
  }
  void say_done(std::uint64_t operation, PassiveOperation& to) const {
    say(wire::Done{operation, extension_of(to).lease.id, wire::DoneStatus::kComplete,
                   64, "", ""});
  }
  // The next message; that of the end is a Hello.
  wire::ControlBody hear() const {
    base::Bytes buffer(128 << 10);
    pollfd event{socket_->fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&event, 1, static_cast<int>(milliseconds(kSoon).count())), 1);
    const auto received = socket_->receive(buffer);
    if (received.result != base::LocalSocket::Result::kDone) return wire::Hello{};
    const auto messages = wire::split_payload(received.message);
    EXPECT_EQ(messages.size(), 1U);
    return wire::decode_control(messages.at(0)).body;
  }
  void go() { socket_.reset(); }

 private:
  static wire::Extension extension_of(const PassiveOperation& operation) {
    return *wire::decode(wire::decode_blob_text(operation.metadata().nixl_metadata))
                .extension;
  }
  void say(const wire::ControlBody& body) const {
    base::Bytes payload;
    wire::append_to_payload(payload, {instance_, body});
    EXPECT_EQ(socket_->send(payload), base::LocalSocket::Result::kDone);
  }

  const wire::InstanceId instance_ = runtime::random_instance();
  const base::Bytes connection_{std::byte{1}, std::byte{2}};
  Buffer memory_{64};
  std::optional<base::LocalSocket> socket_;
};

TEST(EarlyWrite, IsFoundWhenItsLeaseEndsThoughNobodyHasHeardOfIt) {
  Connector exposer(testing::across_processes());
  Writer writer(exposer);
  Buffer memory(64);
  auto writable = exposer.create_writable(memory.descriptor());
  // Nobody but this thread listens as long as the progress thread is in a callback.
  std::promise<void> is_busy;
  std::promise<void> may_go_on;
  auto other = exposer.create_writable(memory.descriptor());
  other.on_complete([&](OperationStatus) {
    is_busy.set_value();
    may_go_on.get_future().wait();
  });
  other.cancel();
  is_busy.get_future().wait();
  writer.attach(2, writable);
  writable.cancel();
  EXPECT_FALSE(writable.wait_for(kAWhile));
  EXPECT_TRUE(std::holds_alternative<wire::Revoke>(writer.hear()));
  writer.say_done(2, writable);
  EXPECT_EQ(finish(writable), OperationStatus::kCancelled);
  may_go_on.set_value();
}

TEST(EarlyWrite, OfAPeerThatIsGivenUpIsWaitedFor) {
  Connector exposer(testing::across_processes());
  Writer writer(exposer);
  Buffer memory(64);
  auto writable = exposer.create_writable(memory.descriptor());
  writer.say_hello();  // for which it is given up
  writer.attach(2, writable);
  EXPECT_TRUE(std::holds_alternative<wire::Hello>(writer.hear())) << "no more comes";
  EXPECT_FALSE(writable.wait_for(kAWhile));
  writer.go();
  EXPECT_EQ(testing::kind_of([&] { (void)writable.wait_for(testing::kSoon); }),
            ErrorKind::kDisconnected);
}

}  // namespace

namespace testing {

int run_role(std::string_view, const Channel& test) { return exposing_role(test); }

}  // namespace testing
}  // namespace nixl_connect
