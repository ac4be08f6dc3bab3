// SPDX-License-Identifier: Apache-2.0
#include "base/tracers.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

namespace nixl_connect::base {
namespace {

using Said = std::vector<unsigned long>;

class TracersTest : public ::testing::Test {
 protected:
  Said said_;
  Tracers tracers_{[this](unsigned long who) { said_.push_back(who); }};
};

TEST_F(TracersTest, OneIsNamedAndSeveralAreEverybody) {
  tracers_.add(10);
  tracers_.add(20);
  tracers_.add(30);
  tracers_.remove(10);
  tracers_.remove(30);
  tracers_.remove(20);
  EXPECT_EQ(said_, (Said{10, Tracers::kEverybody, 20, 0}));
}

TEST_F(TracersTest, OneOfSeveralConnectorsIsCountedOnce) {
  tracers_.add(10);
  tracers_.add(10);
  tracers_.remove(10);
  EXPECT_EQ(said_, Said{10});
  tracers_.remove(10);
  EXPECT_EQ(said_, (Said{10, 0}));
}

TEST_F(TracersTest, NothingIsTakenFromEverybody) {
  tracers_.add_everybody();
  tracers_.add(10);
  tracers_.remove(10);
  EXPECT_EQ(said_, Said{});
  tracers_.restore();
  EXPECT_EQ(said_, Said{Tracers::kEverybody});
  tracers_.remove_everybody();
  EXPECT_EQ(said_.size(), 1U);
  tracers_.restore();
  EXPECT_EQ(said_, (Said{Tracers::kEverybody, 0}));
}

TEST_F(TracersTest, UnknownOneIsNotRemoved) {
  tracers_.remove(10);
  EXPECT_EQ(said_, Said{});
}

TEST_F(TracersTest, ForkedChildSaysNothing) {
  tracers_.add(10);
  const pid_t child = ::fork();
  if (child == 0) {
    tracers_.remove(10);
    tracers_.restore();
    ::_exit(static_cast<int>(said_.size()));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 1) << "what the parent had said";
}

}  // namespace
}  // namespace nixl_connect::base
