// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <poll.h>

#include "paths/ucx/peer.h"
#include "paths/ucx/session.h"

namespace nixl_connect::paths::ucx::testing {
namespace {

constexpr int kPatienceMs = 10'000;

// Progresses until the worker agrees to sleep.
void arm(Worker& worker) {
  while (worker.progress() || !worker.arm()) {
  }
}

bool is_readable(int fd, int timeout_ms) {
  pollfd ready{fd, POLLIN, 0};
  return ::poll(&ready, 1, timeout_ms) == 1;
}

TEST(Sleep, EndsWithAnIncomingMessage) {
  Peer peer;
  Session session;
  int messages = 0;
  session.worker.on_message(20, [&](base::BytesView) { ++messages; });
  arm(session.worker);
  // Nothing wakes an armed worker by itself.
  EXPECT_FALSE(is_readable(session.worker.event_fd(), 0));

  peer.send(session.worker.address(), 20, base::Bytes(8));
  while (messages == 0) {
    ASSERT_TRUE(is_readable(session.worker.event_fd(), kPatienceMs));
    arm(session.worker);
  }
  EXPECT_EQ(messages, 1);
}

// Of another context, for other memory, say.
TEST(Sleep, EndsWithAMessageToAWorkerThatIsHeardByThisOne) {
  Peer peer;
  Session session;
  const Context other(library_under_test(), {});
  Worker heard(other, session.worker);
  EXPECT_EQ(heard.event_fd(), session.worker.event_fd());
  EXPECT_NE(heard.address(), session.worker.address());
  int messages = 0;
  heard.on_message(20, [&](base::BytesView) { ++messages; });
  arm(session.worker);
  arm(heard);
  EXPECT_FALSE(is_readable(session.worker.event_fd(), 0));

  peer.send(heard.address(), 20, base::Bytes(8));
  while (messages == 0) {
    ASSERT_TRUE(is_readable(session.worker.event_fd(), kPatienceMs));
    arm(session.worker);
    arm(heard);
  }
  EXPECT_EQ(messages, 1);
}

TEST(Sleep, GoesOnWhenAWorkerThatWasHeardHasEnded) {
  Peer peer;
  Session session;
  const Context other(library_under_test(), {});
  { const Worker heard(other, session.worker); }
  int messages = 0;
  session.worker.on_message(20, [&](base::BytesView) { ++messages; });
  arm(session.worker);
  EXPECT_FALSE(is_readable(session.worker.event_fd(), 0));
  peer.send(session.worker.address(), 20, base::Bytes(8));
  session.run_until([&] { return messages == 1; });
}

TEST(Sleep, IsRefusedWhileACallbackIsDue) {
  Session session;
  Endpoint& endpoint = session.worker.connect(session.worker.address(), nullptr);
  bool is_ended = false;
  arm(session.worker);
  Transfer transfer(endpoint, Direction::kGet, {}, false,
                    [&](const TransferResult&) { is_ended = true; });
  transfer.start();
  EXPECT_FALSE(session.worker.arm());
  session.worker.progress();
  EXPECT_TRUE(is_ended);
}

}  // namespace
}  // namespace nixl_connect::paths::ucx::testing
