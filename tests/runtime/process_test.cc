// SPDX-License-Identifier: Apache-2.0
//
// Two processes: a peer that may not be touched. And what is left of a process as it
// was.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "support/child.h"

namespace nixl_connect {
namespace {

using testing::Buffer;
using testing::Child;
using testing::finish;

constexpr std::uint32_t kSeed = 11;
constexpr std::size_t kSize = 1 << 20;

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

TEST(ForeignPeer, IsReadOverUcxWhereTheKernelForbidsOurs) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can pose as somebody else";
  constexpr int kNobody = 65534;
  const Child child("expose");
  // With another real user this process may look at the peer in /proc, but not touch
  // it.
  drop_tracing(Dropped::kForNow);
  ASSERT_EQ(::syscall(SYS_setreuid, kNobody, -1), 0);
  ConnectorOptions options = testing::across_processes();
  options.log_level = LogLevel::kInfo;
  Connector connector(options);
  Buffer target(kSize);
  const auto metadata = RdmaMetadata::from_json(child.channel().receive_text());
  ::testing::internal::CaptureStderr();
  auto read = connector.begin_read(metadata, target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find(
                "the kernel does not let this process touch that one's memory: "
                "the peer runs as user 0, this process as 65534 (run both as one user"),
            std::string::npos);
  EXPECT_EQ(read.path().substr(0, 5), "ucx: ");
  target.expect_pattern(kSeed);
  EXPECT_EQ(::syscall(SYS_setreuid, 0, -1), 0);
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

// Exposes kSize bytes until the test hangs up.
int testing::run_role(std::string_view /*expose*/, const Channel& test) {
  drop_tracing(Dropped::kForGood);
  Connector connector;
  Buffer source(kSize, kSeed);
  auto readable = connector.create_readable(source.descriptor());
  test.send(readable.metadata().to_json());
  test.wait_for_hang_up();
  return 0;
}

}  // namespace nixl_connect
