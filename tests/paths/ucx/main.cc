// SPDX-License-Identifier: Apache-2.0
//
// The test program, which is also the program of its child processes: `ucx_test
// --role=NAME` plays one part of a test and talks to it over descriptor 3.
#include <gtest/gtest.h>

#include <string_view>

#include "paths/ucx/child.h"

int main(int argc, char** argv) {
  using nixl_connect::paths::ucx::testing::run_role;
  constexpr std::string_view kRole = "--role=";
  if (argc == 2 && std::string_view(argv[1]).starts_with(kRole))
    return run_role(std::string_view(argv[1]).substr(kRole.size()));
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
