// SPDX-License-Identifier: Apache-2.0
#include "runtime/tracing_permission.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
#include <vector>

namespace nixl_connect::runtime {
namespace {

using base::Tracers;
using Said = std::vector<unsigned long>;

class TracingPermissionTest : public ::testing::Test {
 protected:
  Said said_;
  Tracers tracers_{[this](unsigned long who) { said_.push_back(who); }};
};

TEST_F(TracingPermissionTest, IsGivenToPeersWhileTheyAreThere) {
  TracingPermission permission({.yama_scope = 1}, tracers_);
  permission.came(1, 10);
  permission.came(1, 10);
  permission.came(2, 20);
  permission.went(1);
  permission.went(1);
  permission.went(2);
  EXPECT_EQ(said_, (Said{10, Tracers::kEverybody, 20, 0}));
}

TEST_F(TracingPermissionTest, EndsWithItsConnectorAndStaysWithTheOther) {
  std::optional<TracingPermission> first;
  first.emplace(TracingPermission::Terms{.yama_scope = 1}, tracers_);
  TracingPermission second({.yama_scope = 1}, tracers_);
  first->came(1, 10);
  second.came(1, 10);
  second.came(2, 20);
  second.went(2);
  first.reset();
  EXPECT_EQ(said_, (Said{10, Tracers::kEverybody, 10}));
  second.went(1);
  EXPECT_EQ(said_.back(), 0U);
}

TEST_F(TracingPermissionTest, IsNeededNeitherByThisProcessNorByOneOutOfSight) {
  TracingPermission permission({.yama_scope = 1}, tracers_);
  permission.came(1, ::getpid());
  permission.came(2, 0);
  permission.went(1);
  permission.went(2);
  EXPECT_EQ(said_, Said{});
}

TEST_F(TracingPermissionTest, IsLeftToTheKernelUnderOtherScopes) {
  for (const std::optional<int> scope : {std::optional<int>(), {0}, {2}, {3}}) {
    for (const bool is_allowed : {true, false}) {
      TracingPermission permission({.yama_scope = scope, .is_allowed = is_allowed},
                                   tracers_);
      permission.came(1, 10);
    }
  }
  EXPECT_EQ(said_, Said{});
}

TEST_F(TracingPermissionTest, IsNotNarrowedWhereUcxHasGivenItToAll) {
  TracingPermission permission({.yama_scope = 1, .does_ucx_allow_all = true}, tracers_);
  permission.came(1, 10);
  permission.went(1);
  EXPECT_EQ(said_, Said{});
}

TEST_F(TracingPermissionTest, IsTakenBackFromAllWhereItIsNotAllowed) {
  TracingPermission permission(
      {.yama_scope = 1, .is_allowed = false, .does_ucx_allow_all = true}, tracers_);
  permission.came(1, 10);
  EXPECT_EQ(said_, Said{0});
}

TEST_F(TracingPermissionTest, IsNotTakenFromAnotherConnectorThatAllowsIt) {
  const TracingPermission allowing({.yama_scope = 1, .does_ucx_allow_all = true},
                                   tracers_);
  const TracingPermission other({.yama_scope = 1, .is_allowed = false}, tracers_);
  EXPECT_EQ(said_, Said{Tracers::kEverybody});
}

}  // namespace
}  // namespace nixl_connect::runtime
