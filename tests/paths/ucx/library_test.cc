// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/library.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "nixl_connect/error.h"
#include "paths/ucx/roles.h"
#include "paths/ucx/session.h"

namespace nixl_connect::paths::ucx::testing {
namespace {

using ::testing::Test;

std::string text(const base::Bytes& bytes) { return std::string(base::as_text(bytes)); }

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string in_directory(const std::string& directory) {
  return "NIXL_CONNECT_UCX_DIRECTORY=" + directory;
}

TEST(Library, ComesFromTheFolderAskedFor) {
  const std::string directory = library_under_test().directory;
  const Child child("library", {in_directory(directory)});
  EXPECT_EQ(text(child.channel().receive()),
            "opened " + library_under_test().version + " of " + directory);
}

TEST(Library, IsFoundInTheActiveVirtualEnvironment) {
  namespace fs = std::filesystem;
  const fs::path prefix =
      fs::temp_directory_path() / ("venv" + std::to_string(getpid()));
  const fs::path packages = prefix / "lib" / "python3.12" / "site-packages" / "libucx";
  fs::create_directories(packages);
  fs::create_directory_symlink(library_under_test().directory, packages / "lib");
  const Child child("library", {in_directory(""), "PATH=/nonexistent",
                                "VIRTUAL_ENV=" + prefix.string()});
  const std::string answer = text(child.channel().receive());
  fs::remove_all(prefix);
  EXPECT_EQ(answer, "opened " + library_under_test().version + " of " +
                        library_under_test().directory);
}

TEST(Library, RefusesAFolderWithoutUcxAndNamesIt) {
  const Child child("library", {in_directory("/nonexistent")});
  const std::string answer = text(child.channel().receive());
  EXPECT_TRUE(answer.starts_with("unsupported: ")) << answer;
  EXPECT_TRUE(contains(answer, "/nonexistent: has no libucp.so.0")) << answer;
}

TEST(Library, RefusesAnotherFolderOnceOneIsChosen) {
  library_under_test();
  try {
    open_library("/nonexistent");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    EXPECT_TRUE(contains(error.what(), library_under_test().directory)) << error.what();
  }
}

TEST(Library, LeavesEnvironmentAndHangupHandlerAsTheyWere) {
  const Child child("library", {in_directory(library_under_test().directory),
                                "UCX_MEM_EVENTS=", "UCX_LOG_LEVEL=warn"});
  ASSERT_TRUE(text(child.channel().receive()).starts_with("opened "));
  EXPECT_EQ(text(child.channel().receive()), "nothing");
}

TEST(Library, IsRefusedInAForkedChild) {
  const Child child("fork", {in_directory(library_under_test().directory)});
  const std::string answer = text(child.channel().receive());
  EXPECT_TRUE(answer.starts_with("unsupported: ")) << answer;
  EXPECT_TRUE(contains(answer, "fork()")) << answer;
}

}  // namespace
}  // namespace nixl_connect::paths::ucx::testing
