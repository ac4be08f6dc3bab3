// SPDX-License-Identifier: Apache-2.0
//
// A second process for tests: this program started again with a role, spoken to line by
// line. Killed and reaped by the destructor.
#pragma once

#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

extern char** environ;

namespace nixl_connect::testing {

class Child {
 public:
  explicit Child(const std::string& role, const std::string& argument = "") {
    int to_child[2];
    int from_child[2];
    if (::pipe(to_child) != 0 || ::pipe(from_child) != 0) std::abort();
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, to_child[0], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, from_child[1], STDOUT_FILENO);
    for (const int fd : {to_child[0], to_child[1], from_child[0], from_child[1]})
      ::posix_spawn_file_actions_addclose(&actions, fd);
    std::string program = "/proc/self/exe";
    std::string role_copy = role;
    std::string argument_copy = argument;
    char* arguments[] = {program.data(), role_copy.data(), argument_copy.data(),
                         nullptr};
    EXPECT_EQ(
        ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, environ),
        0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(to_child[0]);
    ::close(from_child[1]);
    in_ = ::fdopen(to_child[1], "w");
    out_ = ::fdopen(from_child[0], "r");
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    kill_and_reap();
    std::fclose(in_);
    std::fclose(out_);
  }

  void say(const std::string& line) {
    std::fprintf(in_, "%s\n", line.c_str());
    std::fflush(in_);
  }

  // Empty at the end of its output.
  std::string hear() {
    std::string line;
    for (int c = std::fgetc(out_); c != EOF && c != '\n'; c = std::fgetc(out_))
      line += static_cast<char>(c);
    return line;
  }

  void signal(int number) { ::kill(pid_, number); }
  // On return none of its threads runs.
  void stop() {
    signal(SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }

  // On return the process is gone.
  void kill_and_reap() {
    if (pid_ < 0) return;
    signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  std::FILE* in_ = nullptr;
  std::FILE* out_ = nullptr;
};

}  // namespace nixl_connect::testing
