// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/child.h"

#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <iostream>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace nixl_connect::paths::ucx::testing {
namespace {

constexpr int kChannelFd = 3;
constexpr int kPatienceMs = 10'000;

[[noreturn]] void fail(const char* what, int error = errno) {
  throw std::system_error(error, std::generic_category(), what);
}

std::pair<base::UniqueFd, base::UniqueFd> make_ends() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    fail("socketpair");
  return {base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}

pid_t start(const std::string& role, std::vector<std::string> environment, int fd) {
  for (char** variable = environ; *variable != nullptr; ++variable)
    environment.emplace_back(*variable);  // the first of a name counts
  std::vector<char*> variables;
  variables.reserve(environment.size() + 1);
  for (std::string& variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  std::string argument = "--role=" + role;
  std::string program = "ucx_test";
  const std::array<char*, 3> arguments{program.data(), argument.data(), nullptr};

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, fd, kChannelFd);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr,
                                  arguments.data(), variables.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail("posix_spawn", error);
  return pid;
}

}  // namespace

void Channel::send(base::BytesView message) const {
  if (::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) fail("send");
}

bool Channel::is_readable() const {
  pollfd ready{fd_.get(), POLLIN, 0};
  return ::poll(&ready, 1, 0) == 1;
}

base::Bytes Channel::receive() const {
  pollfd ready{fd_.get(), POLLIN, 0};
  if (::poll(&ready, 1, kPatienceMs) != 1)
    throw std::runtime_error("the other process does not answer");
  base::Bytes message(64 << 10);
  const ssize_t size = ::recv(fd_.get(), message.data(), message.size(), 0);
  if (size < 0) fail("recv");
  if (size == 0) throw std::runtime_error("the other process is gone");
  message.resize(static_cast<std::size_t>(size));
  return message;
}

Child::Child(const std::string& role, std::vector<std::string> environment)
    : channel_(base::UniqueFd()) {
  auto [ours, theirs] = make_ends();
  pid_ = start(role, std::move(environment), theirs.get());
  channel_ = Channel(std::move(ours));
}

void Child::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(std::exchange(pid_, -1), nullptr, 0);
}

void Child::stop() const {
  ::kill(pid_, SIGSTOP);
  ::waitpid(pid_, nullptr, WUNTRACED);
}

int run_role(std::string_view role) {
  const Channel test{base::UniqueFd(kChannelFd)};
  try {
    if (role == "peer") {
      serve_memory(test);
    } else if (role == "library") {
      report_library(test);
    } else if (role == "fork") {
      report_fork(test);
    } else {
      return 2;
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "role " << role << ": " << error.what() << '\n';
    return 1;
  }
}

}  // namespace nixl_connect::paths::ucx::testing
