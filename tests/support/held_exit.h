// SPDX-License-Identifier: Apache-2.0
//
// Keeps a process that is killed from being gone: the kernel has closed its files by
// then, but one of its threads stays until its tracer, this process, has been told of
// its end. Used by one thread.
#pragma once

#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <filesystem>
#include <string>

namespace nixl_connect::testing {

class HeldExit {
 public:
  // Of a child of this process that has a second thread, and is killed soon.
  explicit HeldExit(pid_t process) {
    const std::string threads = "/proc/" + std::to_string(process) + "/task";
    for (const auto& each : std::filesystem::directory_iterator(threads)) {
      const pid_t thread = std::stoi(each.path().filename().string());
      if (thread == process || ::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0)
        continue;
      thread_ = thread;
      return;
    }
  }
  HeldExit(const HeldExit&) = delete;
  HeldExit& operator=(const HeldExit&) = delete;
  ~HeldExit() { let_go(); }

  // False where this process may not trace.
  bool does_hold() const { return thread_ != 0; }

  // Waits until the thread has ended.
  void let_go() {
    int status = 0;
    while (thread_ != 0 && ::waitpid(thread_, &status, __WALL) == thread_ &&
           WIFSTOPPED(status)) {
    }
    thread_ = 0;
  }

 private:
  pid_t thread_ = 0;
};

}  // namespace nixl_connect::testing
