// SPDX-License-Identifier: Apache-2.0
//
// Fresh processes that open UCX for the first time and tell what that did to them.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <string>

#include "nixl_connect/error.h"
#include "paths/ucx/library.h"
#include "paths/ucx/roles.h"

namespace nixl_connect::paths::ucx::testing {
namespace {

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    variables[text.substr(0, text.find('='))] = text;
  }
  return variables;
}

std::string open_asked_for() {
  const char* directory = std::getenv("NIXL_CONNECT_UCX_DIRECTORY");
  try {
    const Library& library = open_library(directory == nullptr ? "" : directory);
    return "opened " + library.version + " of " + library.directory;
  } catch (const Error& error) {
    return std::string(to_string(error.kind())) + ": " + error.what();
  }
}

void on_hangup(int /*signal*/) {}

}  // namespace

// Answers with how the opening went, then with what it changed in the process.
void report_library(const Channel& test) {
  std::signal(SIGHUP, on_hangup);
  const auto before = environment();
  test.send(open_asked_for());

  std::string changes;
  if (environment() != before) changes += "environment ";
  struct sigaction action {};
  ::sigaction(SIGHUP, nullptr, &action);
  if (action.sa_handler != on_hangup) changes += "SIGHUP ";
  test.send(changes.empty() ? "nothing" : changes);
}

// Answers with what a forked child of a process with UCX gets.
void report_fork(const Channel& test) {
  open_asked_for();
  const pid_t child = ::fork();
  if (child == 0) {
    test.send(open_asked_for());
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
}

}  // namespace nixl_connect::paths::ucx::testing
