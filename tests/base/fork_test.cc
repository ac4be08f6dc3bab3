// SPDX-License-Identifier: Apache-2.0
#include "base/fork.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace nixl_connect::base {
namespace {

void expect_in_child(const std::function<bool()>& is_so) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(is_so() ? 0 : 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(ForkGeneration, DiffersInTheChildOnly) {
  const std::uint64_t before = fork_generation();
  expect_in_child([&] { return fork_generation() != before; });
  EXPECT_EQ(fork_generation(), before);
}

TEST(ProcessId, IsTheChildsInTheChild) {
  EXPECT_EQ(process_id(), ::getpid());
  expect_in_child([] { return process_id() == ::getpid(); });
}

}  // namespace
}  // namespace nixl_connect::base
