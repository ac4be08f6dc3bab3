// SPDX-License-Identifier: Apache-2.0
#include "base/local_socket.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "nixl_connect/error.h"

namespace nixl_connect::base {
namespace {

constexpr int kKind = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

struct Address {
  // A name behind a zero byte is one that no file bears.
  explicit Address(const std::string& name) noexcept {
    address.sun_family = AF_UNIX;
    const std::size_t length = std::min(name.size(), sizeof(address.sun_path) - 1);
    std::copy_n(name.begin(), length, address.sun_path + 1);
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  }
  const sockaddr* generic() const noexcept {
    return reinterpret_cast<const sockaddr*>(&address);
  }

  sockaddr_un address{};
  socklen_t size = 0;
};

[[noreturn]] void fail(const char* call) {
  throw Error(ErrorKind::kNoResources, std::string("opening the local channel: ") +
                                           call + ": " + std::strerror(errno));
}

}  // namespace

std::optional<LocalSocket> LocalSocket::connect(const std::string& name) {
  UniqueFd fd(::socket(AF_UNIX, kKind, 0));
  const Address address(name);
  if (fd.get() < 0 || ::connect(fd.get(), address.generic(), address.size) != 0)
    return std::nullopt;
  return LocalSocket(std::move(fd));
}

LocalSocket::Credentials LocalSocket::peer() const noexcept {
  ucred found{};
  socklen_t size = sizeof(found);
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &found, &size) != 0)
    return {0, static_cast<uid_t>(-1)};
  return {found.pid, found.uid};
}

LocalSocket::Result LocalSocket::send(BytesView message) const noexcept {
  if (::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL) >= 0)
    return Result::kDone;
  return errno == EAGAIN || errno == ENOBUFS || errno == EINTR ? Result::kNotNow
                                                               : Result::kClosed;
}

LocalSocket::Received LocalSocket::receive(std::span<std::byte> buffer) const noexcept {
  ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
  // Told once, and before the messages that came in front of it.
  if (size < 0 && errno == ECONNRESET)
    size = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
  if (size < 0)
    return {errno == EAGAIN || errno == EINTR ? Result::kNotNow : Result::kClosed, {}};
  // An empty message would look like the end, and nobody sends one.
  if (size == 0 || static_cast<std::size_t>(size) > buffer.size())
    return {Result::kClosed, {}};
  return {Result::kDone, buffer.first(static_cast<std::size_t>(size))};
}

LocalListener::LocalListener(const std::string& name)
    : fd_(::socket(AF_UNIX, kKind, 0)) {
  if (fd_.get() < 0) fail("socket");
  const Address address(name);
  if (::bind(fd_.get(), address.generic(), address.size) != 0) fail("bind");
  if (::listen(fd_.get(), SOMAXCONN) != 0) fail("listen");
}

LocalListener::~LocalListener() {
  // A child process may keep a copy: closing ours would not end the listening.
  if (fd_.get() >= 0) ::shutdown(fd_.get(), SHUT_RDWR);
}

LocalListener::Accepted LocalListener::accept() const noexcept {
  UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd.get() >= 0) return {LocalSocket(std::move(fd)), false};
  const bool is_passing = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
  return {std::nullopt, !is_passing};
}

}  // namespace nixl_connect::base
