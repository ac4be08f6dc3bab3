// SPDX-License-Identifier: Apache-2.0
//
// A path that was open for a peer and is closed when the next operation takes it.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <string_view>

#include "runtime/servant.h"
#include "support/child.h"

namespace nixl_connect {
namespace {

using testing::Channel;
using testing::Child;

// Of a user who may trace its own processes only, and those that let it.
bool become_nobody() {
  constexpr uid_t kNobody = 65534;
  if (::getuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0))
    return false;
  return ::prctl(PR_SET_DUMPABLE, 1) == 0;
}

// Another process, which exposes and moves.
class Side {
 public:
  Side() : child_("servant") {}

  std::string wait_until_ready() const { return child_.channel().receive_text(); }
  std::string ask(const std::string& order, const std::string& metadata = "") const {
    child_.channel().send(order);
    child_.channel().send(metadata);
    return child_.channel().receive_text();
  }
  // From now on nobody may touch its memory.
  void close() const {
    child_.signal(SIGUSR1);
    EXPECT_EQ(child_.channel().receive_text(), "closed");
  }

 private:
  const Child child_;
};

TEST(ClosingPath, MakesTheOperationTakeAnother) {
  const Side owner;
  const Side initiator;
  if (owner.wait_until_ready() != "ready" || initiator.wait_until_ready() != "ready")
    GTEST_SKIP() << "this user cannot become another";
  const std::string first = initiator.ask("move", owner.ask("readable plain"));
  if (first != "host.cma") GTEST_SKIP() << "no host.cma in the first place: " << first;
  const std::string metadata = owner.ask("readable plain");
  owner.close();
  // By UCX, whose CMA the kernel refuses too: the transfer fails, or the peer is lost.
  const std::string outcome = initiator.ask("move", metadata);
  EXPECT_TRUE(outcome.starts_with("ucx: ") || outcome.starts_with("disconnected: "))
      << outcome;
}

}  // namespace

namespace testing {

namespace {
const Channel* to_test = nullptr;
}

int run_role(std::string_view, const Channel& test) {
  to_test = &test;
  // Its thread waits for orders, in a call of which nothing is lost by that.
  ::signal(SIGUSR1, [](int) {
    ::prctl(PR_SET_DUMPABLE, 0);
    to_test->send("closed");
  });
  test.send(become_nobody() ? "ready" : "not");
  Servant().serve(test);
}

}  // namespace testing
}  // namespace nixl_connect
