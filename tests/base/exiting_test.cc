// SPDX-License-Identifier: Apache-2.0
#include "base/exiting.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "support/forked_process.h"

namespace nixl_connect::base {
namespace {

TEST(Exiting, IsAProcessThatIsNotQuiteGone) {
  testing::ForkedProcess process([] {});
  EXPECT_FALSE(is_exiting(process.pid()));
  ::kill(process.pid(), SIGKILL);
  siginfo_t ended{};
  ::waitid(P_PID, static_cast<id_t>(process.pid()), &ended, WEXITED | WNOWAIT);
  EXPECT_TRUE(is_exiting(process.pid()));
  const pid_t pid = process.pid();
  process.kill_and_reap();
  EXPECT_FALSE(is_exiting(pid));
}

TEST(Exiting, IsNoProcessWhoseFirstThreadAloneHasEnded) {
  int ended[2];
  ASSERT_EQ(::pipe(ended), 0);
  const pid_t process = ::fork();
  if (process == 0) {
    std::thread([first = ::pthread_self(), end = ended[1]] {
      ::pthread_join(first, nullptr);
      (void)!::write(end, "e", 1);
      while (true) ::pause();
    }).detach();
    ::syscall(SYS_exit, 0);  // this thread
  }
  char byte = 0;
  EXPECT_EQ(::read(ended[0], &byte, 1), 1);
  EXPECT_FALSE(is_exiting(process));
  ::kill(process, SIGKILL);
  ::waitpid(process, nullptr, 0);
  ::close(ended[0]);
  ::close(ended[1]);
}

TEST(Exiting, IsNothingThatIsNotThere) {
  EXPECT_FALSE(is_exiting(0));
  EXPECT_FALSE(is_exiting(-1));
}

}  // namespace
}  // namespace nixl_connect::base
