// SPDX-License-Identifier: Apache-2.0
#include "nixl_connect/options.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "nixl_connect/error.h"

namespace nixl_connect {
namespace {

// Sets a variable for one test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    ::setenv(name, value, 1);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

TEST(Options, TakeEveryVariableFromTheEnvironment) {
  const Variable directory("NIXL_CONNECT_UCX_DIRECTORY", "/somewhere");
  const Variable devices("NIXL_CONNECT_NET_DEVICES", "eth7");
  const Variable network("NIXL_CONNECT_NETWORK", "off");
  const Variable spin("NIXL_CONNECT_SPIN_US", "0");
  const Variable threads("NIXL_CONNECT_COPY_THREADS", "3");
  const Variable huge_pages("NIXL_CONNECT_HUGE_PAGES", "off");
  const Variable ptrace("NIXL_CONNECT_PTRACE", "off");
  const Variable streams("NIXL_CONNECT_WAIT_FOR_STREAMS", "on");
  const Variable paths("NIXL_CONNECT_PATHS", "ucx,host.cma");
  const Variable require("NIXL_CONNECT_REQUIRE", "ucx");
  const Variable forbid("NIXL_CONNECT_FORBID", "host.cma,else");
  const Variable sm("NIXL_CONNECT_SM", "off");
  const Variable blocks("NIXL_CONNECT_MAX_BLOCKS", "16");
  const Variable costs("NIXL_CONNECT_COSTS", "/somewhere/costs.json");
  const Variable log("NIXL_CONNECT_LOG", "error");
  const ConnectorOptions options = ConnectorOptions::from_environment();
  EXPECT_EQ(options.ucx_directory, "/somewhere");
  EXPECT_EQ(options.net_devices, "eth7");
  EXPECT_FALSE(options.network);
  EXPECT_EQ(options.spin.count(), 0);
  EXPECT_EQ(options.copy_threads, 3U);
  EXPECT_FALSE(options.advise_huge_pages);
  EXPECT_FALSE(options.allow_ptrace);
  EXPECT_TRUE(options.wait_for_streams);
  EXPECT_EQ(options.paths, (std::vector<std::string>{"ucx", "host.cma"}));
  EXPECT_EQ(options.require, "ucx");
  EXPECT_EQ(options.forbid, (std::vector<std::string>{"host.cma", "else"}));
  EXPECT_FALSE(options.sm);
  EXPECT_EQ(options.max_blocks, 16U);
  EXPECT_EQ(options.costs_file, "/somewhere/costs.json");
  EXPECT_EQ(options.log_level, LogLevel::kError);
}

TEST(Options, TakeTheUsualCostsFileIfItIsThereAndNoVariableIsSet) {
  const std::filesystem::path home = ::testing::TempDir() + "options_test";
  const Variable config("XDG_CONFIG_HOME", home.c_str());
  ::unsetenv("NIXL_CONNECT_COSTS");
  EXPECT_EQ(ConnectorOptions::from_environment().costs_file, "");
  const std::filesystem::path file = home / "nixl_connect/costs.json";
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << "{}";
  EXPECT_EQ(ConnectorOptions::from_environment().costs_file, file);
  const Variable none("NIXL_CONNECT_COSTS", "");
  EXPECT_EQ(ConnectorOptions::from_environment().costs_file, "");
  std::filesystem::remove_all(home);
}

TEST(Options, NameTheVariableThatCannotBeRead) {
  const std::pair<const char*, const char*> cases[] = {
      {"NIXL_CONNECT_NETWORK", "maybe"},
      {"NIXL_CONNECT_SPIN_US", "-1"},
      {"NIXL_CONNECT_SPIN_US", "1e3"},
      {"NIXL_CONNECT_COPY_THREADS", "0"},
      {"NIXL_CONNECT_COPY_THREADS", "many"},
      {"NIXL_CONNECT_LOG", "verbose"},
      {"NIXL_CONNECT_SM", "0"},
      {"NIXL_CONNECT_MAX_BLOCKS", "0"},
      {"NIXL_CONNECT_MAX_BLOCKS", "1025"},
      {"NIXL_CONNECT_HUGE_PAGES", "yes"},
      {"NIXL_CONNECT_PTRACE", "0"}};
  for (const auto& [name, value] : cases) {
    const Variable variable(name, value);
    try {
      (void)ConnectorOptions::from_environment();
      ADD_FAILURE() << name << "=" << value;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos)
          << error.what();
    }
  }
}

}  // namespace
}  // namespace nixl_connect
