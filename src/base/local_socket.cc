// SPDX-License-Identifier: Apache-2.0
#include "base/local_socket.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

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

// A message with its one file: what sendmsg() and recvmsg() ask for.
class Envelope {
 public:
  Envelope(std::byte* data, std::size_t size) noexcept : bytes_{data, size} {
    header_.msg_iov = &bytes_;
    header_.msg_iovlen = 1;
  }
  Envelope(const Envelope&) = delete;
  Envelope& operator=(const Envelope&) = delete;

  void enclose(int fd) noexcept {
    make_room();
    cmsghdr* const head = CMSG_FIRSTHDR(&header_);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(fd));
    std::memcpy(CMSG_DATA(head), &fd, sizeof(fd));
  }

  // For exactly one: CMSG_SPACE would be room for two.
  void make_room() noexcept {
    header_.msg_control = control_.data();
    header_.msg_controllen = CMSG_LEN(sizeof(int));
  }

  UniqueFd file() const noexcept {
    const cmsghdr* const head = CMSG_FIRSTHDR(&header_);
    if (head == nullptr || head->cmsg_level != SOL_SOCKET ||
        head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
      return {};
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    return UniqueFd(fd);
  }

  bool was_cut() const noexcept { return (header_.msg_flags & MSG_CTRUNC) != 0; }
  msghdr* header() noexcept { return &header_; }

 private:
  iovec bytes_;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control_{};
  msghdr header_{};
};

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

LocalSocket::Result LocalSocket::send(BytesView message, int fd) const noexcept {
  ssize_t sent = -1;
  if (fd < 0) {
    sent = ::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL);
  } else {
    // sendmsg() only reads the message.
    Envelope envelope(const_cast<std::byte*>(message.data()), message.size());
    envelope.enclose(fd);
    sent = ::sendmsg(fd_.get(), envelope.header(), MSG_NOSIGNAL);
  }
  if (sent >= 0) return Result::kDone;
  switch (errno) {
    case EAGAIN:
    case EINTR:
    case ENOBUFS:
    case ENOMEM:
      return Result::kNotNow;
    case EMSGSIZE:      // larger than the socket's buffer
    case ETOOMANYREFS:  // too many files of this user are on their way
    case EBADF:         // no such file
      return Result::kRefused;
    default:
      return Result::kClosed;
  }
}

std::size_t LocalSocket::waiting_bytes() const noexcept {
  int bytes = 0;
  return ::ioctl(fd_.get(), FIONREAD, &bytes) == 0 ? static_cast<std::size_t>(bytes)
                                                   : SIZE_MAX;
}

LocalSocket::Received LocalSocket::receive(std::span<std::byte> buffer) const noexcept {
  constexpr int kFlags = MSG_TRUNC | MSG_CMSG_CLOEXEC;
  Envelope envelope(buffer.data(), buffer.size());
  envelope.make_room();
  ssize_t size = ::recvmsg(fd_.get(), envelope.header(), kFlags);
  // Told once, and before the messages that came in front of it.
  if (size < 0 && errno == ECONNRESET) {
    envelope.make_room();
    size = ::recvmsg(fd_.get(), envelope.header(), kFlags);
  }
  if (size < 0)
    return {errno == EAGAIN || errno == EINTR ? Result::kNotNow : Result::kClosed};
  UniqueFd file = envelope.file();
  // An empty message would look like the end, and nobody sends one. Of several files
  // the kernel has closed all but the first.
  if (size == 0 || static_cast<std::size_t>(size) > buffer.size() ||
      (envelope.was_cut() && file.get() >= 0))
    return {Result::kClosed};
  return {Result::kDone, buffer.first(static_cast<std::size_t>(size)), std::move(file)};
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
