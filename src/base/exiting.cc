// SPDX-License-Identifier: Apache-2.0
#include "base/exiting.h"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

namespace nixl_connect::base {
namespace {

// By its `stat` file. Of one that has gone meanwhile too.
bool is_thread_exiting(const std::filesystem::path& folder) {
  constexpr unsigned long kExiting = 4;  // Source: linux/sched.h, PF_EXITING
  std::string text;
  if (!std::getline(std::ifstream(folder / "stat"), text, '\0')) return true;
  // The name, in parentheses, may have any characters. Source: proc(5), from field 3
  // on.
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::string skipped;
  for (int field = 3; field < 9; ++field) fields >> skipped;
  unsigned long flags = 0;
  return !(fields >> flags) || (flags & kExiting) != 0;
}

}  // namespace

// The first thread alone may have ended long ago.
bool is_exiting(pid_t process) {
  std::error_code error;
  const std::filesystem::path threads = "/proc/" + std::to_string(process) + "/task";
  bool is_any = false;
  for (std::filesystem::directory_iterator each(threads, error), end;
       !error && each != end; each.increment(error)) {
    if (!is_thread_exiting(each->path())) return false;
    is_any = true;
  }
  return is_any;
}

bool has_gone(pid_t process) {
  return (::kill(process, 0) != 0 && errno == ESRCH) || is_exiting(process);
}

}  // namespace nixl_connect::base
