// SPDX-License-Identifier: Apache-2.0
#include "base/place.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/bytes.h"

namespace nixl_connect::base {
namespace {

// The link reads "pid:[4026531836]".
std::string link_of(const char* name, std::uint64_t inode) {
  return std::string(name) + ":[" + std::to_string(inode) + "]";
}

TEST(Place, IsWhatTheKernelSays) {
  const Place place = place_of_this_process();
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  std::erase(boot, '-');
  EXPECT_EQ(to_hex(place.boot), boot);
  EXPECT_EQ(link_of("pid", place.pid_namespace),
            std::filesystem::read_symlink("/proc/self/ns/pid"));
  EXPECT_EQ(link_of("net", place.network_namespace),
            std::filesystem::read_symlink("/proc/self/ns/net"));
  EXPECT_EQ(place.user, ::geteuid());
}

TEST(Place, IsTheSameInAForkedChild) {
  const Place before = place_of_this_process();
  const pid_t child = ::fork();
  if (child == 0) ::_exit(place_of_this_process() == before ? 0 : 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Place, HasTheUserOfNow) {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() != 0) GTEST_SKIP() << "only root can pose as somebody else";
  place_of_this_process();
  ASSERT_EQ(::seteuid(kNobody), 0);
  const std::uint32_t user = place_of_this_process().user;
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(user, kNobody);
}

}  // namespace
}  // namespace nixl_connect::base
