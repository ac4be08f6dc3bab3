// SPDX-License-Identifier: Apache-2.0
//
// Two processes: peers that die, that stop, and that leave the process as they found
// it.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "support/child.h"

namespace nixl_connect {
namespace {

using testing::Buffer;
using testing::Channel;
using testing::Child;
using testing::finish;
using testing::kind_of;
using testing::kSoon;

constexpr std::uint32_t kSeed = 11;
constexpr std::size_t kMaxPattern = 1 << 20;  // larger ones only take time

// Takes the right to trace any process from this thread and those it starts: for now,
// or for good.
enum class Dropped { kForNow, kForGood };

void drop_tracing(Dropped dropped) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  ASSERT_EQ(::syscall(SYS_capget, &header, sets.data()), 0);
  sets[0].effective &= ~(1U << CAP_SYS_PTRACE);
  if (dropped == Dropped::kForGood) sets[0].permitted &= ~(1U << CAP_SYS_PTRACE);
  ASSERT_EQ(::syscall(SYS_capset, &header, sets.data()), 0);
}

// Roles of the second process. Each ends when the test hangs up.

int expose_role(const Channel& test, bool is_writable) {
  drop_tracing(Dropped::kForGood);
  const std::size_t size = std::stoul(test.receive_text());
  Connector connector;
  Buffer buffer = size <= kMaxPattern ? Buffer(size, kSeed) : Buffer(size);
  std::unique_ptr<PassiveOperation> operation;
  if (is_writable) {
    operation = std::make_unique<PassiveOperation>(
        connector.create_writable(buffer.descriptor()));
  } else {
    operation = std::make_unique<PassiveOperation>(
        connector.create_readable(buffer.descriptor()));
  }
  test.send(operation->metadata().to_json());
  test.wait_for_hang_up();
  return 0;
}

// So many reads at once take long enough to be killed in.
constexpr std::uint32_t kReads = 16;

int read_role(const Channel& test) {
  const RdmaMetadata metadata = RdmaMetadata::from_json(test.receive_text());
  Connector connector;
  Buffer target(metadata.descriptors[0].size);
  std::vector<ReadOperation> reads;
  for (std::uint32_t i = 0; i < kReads; ++i)
    reads.push_back(connector.begin_read(metadata, target.descriptor()));
  while (reads[0].bytes_transferred() == 0 && !is_terminal(reads[0].status()))
    std::this_thread::yield();
  test.send("begun");
  test.wait_for_hang_up();
  return 0;
}

// Exposes so many bytes.
class ExposingChild : public Child {
 public:
  ExposingChild(const char* role, std::size_t size) : Child(role) {
    channel().send(std::to_string(size));
  }
};

RdmaMetadata metadata_from(const Child& child) {
  return RdmaMetadata::from_json(child.channel().receive_text());
}

TEST(TwoProcesses, ReadArrivesWhole) {
  ExposingChild child("expose", 1000000);
  Connector connector;
  Buffer target(1'000'000);
  auto read = connector.begin_read(metadata_from(child), target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  target.expect_pattern(kSeed);
}

TEST(DeadPeer, EndsARunningRead) {
  constexpr std::size_t kSize = 256 << 20;
  ExposingChild child("expose", kSize);
  Connector connector;
  Buffer target(kSize);
  auto read = connector.begin_read(metadata_from(child), target.descriptor());
  while (read.bytes_transferred() == 0) std::this_thread::yield();
  child.kill();
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kDisconnected);
  EXPECT_EQ(read.status(), OperationStatus::kErrored);
}

TEST(DeadPeer, FailsALaterReadAndThenAnotherPeerStillWorks) {
  Connector connector;
  Buffer target(4096);
  RdmaMetadata old;
  {
    ExposingChild child("expose", 4096);
    old = metadata_from(child);
    auto read = connector.begin_read(old, target.descriptor());
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
  }
  auto read = connector.begin_read(old, target.descriptor(),
                                   {.timeout = std::chrono::seconds(5)});
  EXPECT_NE(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kInternal);
  ExposingChild child("expose", 4096);
  auto next = connector.begin_read(metadata_from(child), target.descriptor());
  EXPECT_EQ(finish(next), OperationStatus::kComplete);
}

TEST(DeadPeer, ReaderThatDiesEndsTheReadable) {
  constexpr std::size_t kSize = 256 << 20;
  Connector connector;
  Buffer source(kSize);
  auto readable = connector.create_readable(source.descriptor(), {.readers = kReads});
  Child child("read");
  child.channel().send(readable.metadata().to_json());
  ASSERT_EQ(child.channel().receive_text(), "begun");
  while (readable.status() == OperationStatus::kInitialized) std::this_thread::yield();
  if (readable.status() == OperationStatus::kComplete)
    GTEST_SKIP() << "the reads were over before the reader could be killed";
  child.kill();
  EXPECT_EQ(kind_of([&] { (void)readable.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST(ForeignPeer, IsReadOverUcxWhereTheKernelForbidsOurs) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can pose as somebody else";
  constexpr int kNobody = 65534;
  constexpr std::size_t kSize = 1 << 20;
  ExposingChild child("expose", kSize);
  // With another real user this process may look at the peer in /proc, but not touch
  // it.
  drop_tracing(Dropped::kForNow);
  ASSERT_EQ(::syscall(SYS_setreuid, kNobody, -1), 0);
  ConnectorOptions options = testing::across_processes();
  options.log_level = LogLevel::kInfo;
  Connector connector(options);
  Buffer target(kSize);
  ::testing::internal::CaptureStderr();
  auto read = connector.begin_read(metadata_from(child), target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find(
                "the kernel does not let this process touch"),
            std::string::npos);
  EXPECT_EQ(read.path().substr(0, 5), "ucx: ");
  target.expect_pattern(kSeed);
  EXPECT_EQ(::syscall(SYS_setreuid, 0, -1), 0);
}

// Accepts a write, and stands still before it hears of one.
class StoppedPeer : public ::testing::Test {
 protected:
  StoppedPeer() { child_.stop(); }
  ~StoppedPeer() override { child_.signal(SIGCONT); }

  ExposingChild child_{"accept", 4096};
  const RdmaMetadata metadata_ = metadata_from(child_);
  Buffer source_{4096, kSeed};
};

TEST_F(StoppedPeer, WriteEndsAtItsDeadline) {
  Connector connector;
  const auto start = std::chrono::steady_clock::now();
  auto write = connector.begin_write(source_.descriptor(), metadata_,
                                     {.timeout = std::chrono::milliseconds(100)});
  EXPECT_EQ(kind_of([&] { (void)write.wait_for(kSoon); }), ErrorKind::kTimedOut);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(StoppedPeer, DoesNotKeepAConnectorFromClosing) {
  auto connector = std::make_unique<Connector>();
  auto write = connector->begin_write(source_.descriptor(), metadata_);
  connector.reset();
  EXPECT_TRUE(is_terminal(write.status()));
}

// Nothing is under way between the two, so that only the channel can tell.
TEST_F(StoppedPeer, ThatDiesIsNoticedByAWriterThatWaitsForIt) {
  Connector connector;
  auto write = connector.begin_write(source_.descriptor(), metadata_);
  EXPECT_FALSE(write.wait_for(std::chrono::milliseconds(20)));
  child_.signal(SIGKILL);
  EXPECT_EQ(kind_of([&] { (void)write.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST(Process, KeepsItsHangUpHandlerAndItsEnvironment) {
  std::signal(SIGHUP, [](int) {});
  struct sigaction before {};
  ::sigaction(SIGHUP, nullptr, &before);
  const auto variables = [] {
    std::vector<std::string> all;
    for (char** each = environ; *each != nullptr; ++each) all.emplace_back(*each);
    return all;
  };
  const auto variables_before = variables();
  {
    Connector connector;
    Buffer source(16, 1);
    Buffer target(16);
    auto readable = connector.create_readable(source.descriptor());
    auto read = connector.begin_read(readable.metadata(), target.descriptor());
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
  }
  struct sigaction after {};
  ::sigaction(SIGHUP, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
  EXPECT_EQ(variables_before, variables());
  std::signal(SIGHUP, SIG_DFL);
}

}  // namespace

int testing::run_role(std::string_view role, const Channel& test) {
  return role == "read" ? read_role(test) : expose_role(test, role == "accept");
}

}  // namespace nixl_connect
