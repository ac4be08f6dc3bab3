// SPDX-License-Identifier: Apache-2.0
#include "base/process_identity.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nixl_connect::base {
namespace {

TEST(ProcessIdentity, StaysAndIsAnotherOneInAForkedChild) {
  const auto before = process_identity();
  EXPECT_NE(before, decltype(before){});
  EXPECT_EQ(process_identity(), before);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto of_child = process_identity();
    ::_exit(of_child != before && of_child == process_identity() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(process_identity(), before);
}

}  // namespace
}  // namespace nixl_connect::base
