// SPDX-License-Identifier: Apache-2.0
//
// The main of a test program that is also the program of its child processes: with
// --role=NAME it plays one part of a test and talks to it over descriptor 3.
#include <gtest/gtest.h>

#include "support/child.h"

int main(int argc, char** argv) {
  if (const auto status = nixl_connect::testing::play_role(argc, argv)) return *status;
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
