// SPDX-License-Identifier: Apache-2.0
//
// Where the lines of the library's log go: to standard error, or to the sink of the
// process, not of its forked children.
#include "base/log.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace nixl_connect::base {
namespace {

using Line = std::pair<LogLevel, std::string>;

class Log : public ::testing::Test {
 protected:
  Log() { ::testing::internal::CaptureStderr(); }
  ~Log() override {
    set_log_sink({});
    set_log_level(ConnectorOptions{}.log_level);
    if (!did_read_) (void)::testing::internal::GetCapturedStderr();
  }

  LogSink collecting() {
    return [this](LogLevel level, std::string_view text) {
      lines_.emplace_back(level, text);
    };
  }
  std::string standard_error() {
    did_read_ = true;
    return ::testing::internal::GetCapturedStderr();
  }

  std::vector<Line> lines_;

 private:
  bool did_read_ = false;
};

TEST_F(Log, GoesToStandardErrorWithoutASink) {
  log_warning("no {} format");
  log_info("silent");
  const std::string written = standard_error();
  EXPECT_NE(written.find("[warning] no {} format\n"), std::string::npos) << written;
  EXPECT_EQ(written.find("silent"), std::string::npos);
}

TEST_F(Log, GoesToTheSinkAlone) {
  set_log_level(LogLevel::kDebug);
  set_log_sink(collecting());
  log_debug("one");
  log_info("two");
  log_warning("three");
  log_error("four");
  const std::vector<Line> expected{{LogLevel::kDebug, "one"},
                                   {LogLevel::kInfo, "two"},
                                   {LogLevel::kWarning, "three"},
                                   {LogLevel::kError, "four"}};
  EXPECT_EQ(lines_, expected);
  EXPECT_EQ(standard_error(), "");
}

TEST_F(Log, LevelHoldsForTheSink) {
  set_log_sink(collecting());
  log_info("silent");
  set_log_level(LogLevel::kInfo);
  log_info("heard");
  set_log_level(LogLevel::kOff);
  log_error("silent");
  EXPECT_EQ(lines_, (std::vector<Line>{{LogLevel::kInfo, "heard"}}));
  EXPECT_EQ(standard_error(), "");
}

TEST_F(Log, EmptySinkGivesStandardErrorBackAndTheOldOneIsDestroyed) {
  auto held = std::make_shared<int>();
  set_log_sink([held](LogLevel, std::string_view) {});
  EXPECT_EQ(held.use_count(), 2);
  log_error("lost");
  set_log_sink({});
  EXPECT_EQ(held.use_count(), 1);
  log_error("back");
  const std::string written = standard_error();
  EXPECT_NE(written.find("back"), std::string::npos);
  EXPECT_EQ(written.find("lost"), std::string::npos);
}

TEST_F(Log, LineOfWhichTheSinkThrowsGoesToStandardError) {
  set_log_sink([](LogLevel, std::string_view) { throw std::runtime_error("full"); });
  log_error("kept");
  set_log_sink([](LogLevel, std::string_view) { throw 1; });
  log_error("this one too");
  const std::string written = standard_error();
  EXPECT_NE(written.find("kept"), std::string::npos);
  EXPECT_NE(written.find("this one too"), std::string::npos);
}

TEST_F(Log, SettingASinkWaitsForCallsOfTheOneBefore) {
  std::atomic<bool> is_replaced{false};
  std::atomic<bool> was_late{false};
  std::latch entered(1);
  set_log_sink([&](LogLevel, std::string_view) {
    entered.count_down();
    for (int turns = 0; turns < 10'000 && !is_replaced; ++turns)
      std::this_thread::yield();
    was_late = is_replaced.load();
  });
  std::thread other([] { log_error("line"); });
  entered.wait();
  set_log_sink({});
  is_replaced = true;
  other.join();
  EXPECT_FALSE(was_late);
}

// In the child, 0 if the log works, though another thread of the parent was in its
// sink.
int log_in_a_child() {
  log_error("of the child");
  int calls = 0;
  set_log_sink([&calls](LogLevel, std::string_view) { ++calls; });
  log_error("of the child's sink");
  return calls == 1 ? 0 : 1;
}

TEST_F(Log, GoesToStandardErrorInAForkedChild) {
  std::latch entered(1);
  std::latch left(1);
  set_log_sink([&](LogLevel, std::string_view text) {
    lines_.emplace_back(LogLevel::kError, text);
    entered.count_down();
    left.wait();
  });
  std::thread other([] { log_error("of the parent"); });
  entered.wait();
  const pid_t child = ::fork();
  if (child == 0) ::_exit(log_in_a_child());
  left.count_down();
  other.join();
  ASSERT_GT(child, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(lines_, (std::vector<Line>{{LogLevel::kError, "of the parent"}}));
  const std::string written = standard_error();
  EXPECT_NE(written.find("of the child\n"), std::string::npos) << written;
  EXPECT_EQ(written.find("sink"), std::string::npos) << written;
}

}  // namespace
}  // namespace nixl_connect::base
