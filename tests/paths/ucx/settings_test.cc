// SPDX-License-Identifier: Apache-2.0
//
// Which settings UCX is given, by a UCX that only writes them down.
#include "paths/ucx/settings.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "paths/ucx/session.h"

namespace nixl_connect::paths::ucx::testing {
namespace {

constexpr const char* kBound = "CUDA_IPC_CACHE_MAX_REGIONS";

std::map<std::string, std::string> given;

ucs_status_t write_down(ucp_config_t* /*config*/, const char* name, const char* value) {
  given[name] = value;
  return UCS_OK;
}

// What a context of that kind, of a UCX of that version, is given for the key.
std::optional<std::string> setting(const char* key, bool gpus, unsigned minor = 22) {
  Library library = library_under_test();
  library.functions.config_modify = write_down;
  library.minor = minor;
  given.clear();
  make_config(library, {.gpus = gpus});
  const auto found = given.find(key);
  if (found == given.end()) return std::nullopt;
  return found->second;
}

TEST(Settings, BoundTheMemoryOfGpusThatStaysOpen) {
  EXPECT_EQ(setting(kBound, true), "512");
  EXPECT_EQ(setting(kBound, true, 23), "512");
  EXPECT_EQ(setting(kBound, true, 21), std::nullopt) << "which does not know it";
  EXPECT_EQ(setting(kBound, false), std::nullopt);
}

TEST(Settings, GiveWayToTheUsers) {
  ::setenv("UCX_CUDA_IPC_CACHE_MAX_REGIONS", "inf", 1);
  EXPECT_EQ(setting(kBound, true), std::nullopt);
  EXPECT_EQ(setting("RNDV_THRESH", true), "inf");
  ::unsetenv("UCX_CUDA_IPC_CACHE_MAX_REGIONS");
}

}  // namespace
}  // namespace nixl_connect::paths::ucx::testing
