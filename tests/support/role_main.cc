// SPDX-License-Identifier: Apache-2.0
//
// The main of a test program that is also the program of its child processes: with
// --role=NAME it plays one part of a test and talks to it over descriptor 3.
#include <gtest/gtest.h>

#include <exception>
#include <iostream>
#include <string_view>

#include "support/child.h"

namespace {

constexpr int kChannelFd = 3;

int play(std::string_view role) {
  using nixl_connect::testing::Channel;
  const Channel test{nixl_connect::base::UniqueFd(kChannelFd)};
  try {
    return nixl_connect::testing::run_role(role, test);
  } catch (const std::exception& error) {
    std::cerr << "role " << role << ": " << error.what() << '\n';
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::string_view kRole = "--role=";
  if (argc == 2 && std::string_view(argv[1]).starts_with(kRole))
    return play(std::string_view(argv[1]).substr(kRole.size()));
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
