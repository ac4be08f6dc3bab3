// SPDX-License-Identifier: Apache-2.0
#include "base/exiting.h"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <thread>

#include "support/forked_process.h"

namespace nixl_connect::base {
namespace {

TEST(Exiting, IsAProcessThatIsNotQuiteGone) {
  testing::ForkedProcess process([] {});
  EXPECT_FALSE(is_exiting(process.pid()));
  EXPECT_FALSE(has_gone(process.pid()));
  ::kill(process.pid(), SIGKILL);
  siginfo_t ended{};
  ::waitid(P_PID, static_cast<id_t>(process.pid()), &ended, WEXITED | WNOWAIT);
  EXPECT_TRUE(is_exiting(process.pid()));
  EXPECT_TRUE(has_gone(process.pid()));
  const pid_t pid = process.pid();
  process.kill_and_reap();
  EXPECT_FALSE(is_exiting(pid));
  EXPECT_TRUE(has_gone(pid));
}

TEST(Exiting, IsNoProcessWhoseFirstThreadAloneHasEnded) {
  int ended[2];
  ASSERT_EQ(::pipe(ended), 0);
  // Of the first thread, which no library knows to have ended: the kernel clears it.
  static std::atomic<std::uint32_t> lives{1};
  const pid_t process = ::fork();
  if (process == 0) {
    std::thread([end = ended[1]] {
      while (lives != 0) ::syscall(SYS_futex, &lives, FUTEX_WAIT, 1, nullptr);
      (void)!::write(end, "e", 1);
      while (true) ::pause();
    }).detach();
    ::syscall(SYS_set_tid_address, &lives);
    ::syscall(SYS_exit, 0);  // this thread
  }
  ::close(ended[1]);
  char byte = 0;
  EXPECT_EQ(::read(ended[0], &byte, 1), 1);
  EXPECT_FALSE(is_exiting(process));
  ::kill(process, SIGKILL);
  ::waitpid(process, nullptr, 0);
  ::close(ended[0]);
}

TEST(Exiting, IsNothingThatIsNotThere) {
  EXPECT_FALSE(is_exiting(0));
  EXPECT_FALSE(is_exiting(-1));
}

}  // namespace
}  // namespace nixl_connect::base
