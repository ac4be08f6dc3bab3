// SPDX-License-Identifier: Apache-2.0
#include "support/child.h"

#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <system_error>

namespace nixl_connect::testing {
namespace {

constexpr int kChannelFd = 3;
constexpr int kPatienceMs = 100'000;

[[noreturn]] void fail(const char* what, int error = errno) {
  throw std::system_error(error, std::generic_category(), what);
}

void send_all(int fd, const void* bytes, std::size_t size) {
  const auto* next = static_cast<const std::byte*>(bytes);
  while (size > 0) {
    const ssize_t sent = ::send(fd, next, size, MSG_NOSIGNAL);
    if (sent < 0) fail("send");
    next += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

pid_t start(const std::string& role, std::vector<std::string> environment, int fd) {
  for (char** variable = environ; *variable != nullptr; ++variable)
    environment.emplace_back(*variable);  // the first of a name counts
  std::vector<char*> variables;
  variables.reserve(environment.size() + 1);
  for (std::string& variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  std::string argument = "--role=" + role;
  std::string program = "child";
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

std::pair<Channel, Channel> Channel::make_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    fail("socketpair");
  return {Channel(base::UniqueFd(ends[0])), Channel(base::UniqueFd(ends[1]))};
}

void Channel::send(base::BytesView message) const {
  const std::uint64_t size = message.size();
  send_all(fd_.get(), &size, sizeof(size));
  send_all(fd_.get(), message.data(), message.size());
}

bool Channel::is_readable() const {
  pollfd ready{fd_.get(), POLLIN, 0};
  return ::poll(&ready, 1, 0) == 1;
}

void Channel::wait_for_hang_up() const {
  pollfd ready{fd_.get(), POLLIN, 0};
  ::poll(&ready, 1, -1);
}

base::Bytes Channel::receive() const {
  std::uint64_t size = 0;
  receive_all(&size, sizeof(size));
  base::Bytes message(size);
  receive_all(message.data(), message.size());
  return message;
}

void Channel::receive_all(void* bytes, std::size_t size) const {
  auto* next = static_cast<std::byte*>(bytes);
  while (size > 0) {
    pollfd ready{fd_.get(), POLLIN, 0};
    const int found = ::poll(&ready, 1, kPatienceMs);
    if (found < 0 && errno == EINTR) continue;  // by a signal of the test's
    if (found != 1) throw std::runtime_error("the other process does not answer");
    const ssize_t received = ::recv(fd_.get(), next, size, 0);
    if (received < 0) fail("recv");
    if (received == 0) throw std::runtime_error("the other process is gone");
    next += received;
    size -= static_cast<std::size_t>(received);
  }
}

Child::Child(const std::string& role, std::vector<std::string> environment)
    : channel_(base::UniqueFd()) {
  auto [ours, theirs] = Channel::make_pair();
  pid_ = start(role, std::move(environment), theirs.fd());
  channel_ = std::move(ours);
}

void Child::kill() {
  if (pid_ < 0) return;
  signal(SIGKILL);
  ::waitpid(std::exchange(pid_, -1), nullptr, 0);
}

void Child::stop() const {
  signal(SIGSTOP);
  ::waitpid(pid_, nullptr, WUNTRACED);
}

void Child::signal(int number) const { ::kill(pid_, number); }

std::optional<int> play_role(int argc, char** argv) {
  constexpr std::string_view kRole = "--role=";
  if (argc != 2 || !std::string_view(argv[1]).starts_with(kRole)) return std::nullopt;
  const std::string_view role = std::string_view(argv[1]).substr(kRole.size());
  const Channel test{base::UniqueFd(kChannelFd)};
  try {
    return run_role(role, test);
  } catch (const std::exception& error) {
    std::cerr << "role " << role << ": " << error.what() << '\n';
    return 1;
  }
}

}  // namespace nixl_connect::testing
