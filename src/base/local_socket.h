// SPDX-License-Identifier: Apache-2.0
//
// Connections between processes of one host: whole messages, in order, the kernel's
// word for who is at the other end, and open files that are handed over. Unix sockets
// under names that no file bears, so that nothing is left behind; they do not reach
// into another network namespace. Nothing here blocks. Resources; one thread at a time.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/unique_fd.h"

namespace nixl_connect::base {

class LocalSocket {
 public:
  // Nothing if nobody listens under that name, or has too many waiting already.
  static std::optional<LocalSocket> connect(const std::string& name);

  explicit LocalSocket(UniqueFd fd) noexcept : fd_(std::move(fd)) {}

  struct Credentials {
    pid_t pid = 0;  // as this process sees it; 0 if it does not
    uid_t user = 0;
  };
  // Of the process that connected, or listens.
  Credentials peer() const noexcept;

  enum class Result {
    kDone,
    kNotNow,
    kClosed,
    kRefused,  // of send() only: it can never leave, or not with that file
  };

  // A message of at least a byte, which fits into the receiver's buffer. With it goes a
  // file of this process, unless `fd` is -1; the receiver gets a descriptor of its own.
  Result send(BytesView message, int fd = -1) const noexcept;

  // Of the messages that have arrived and wait to be received.
  std::size_t waiting_bytes() const noexcept;

  // The next one, put into `buffer`, and the file that came with it. One that does not
  // fit, or brings several files, counts as the end. A file for which this process has
  // no descriptor left is lost, but its message is not.
  struct Received {
    Result result = Result::kClosed;
    BytesView message{};
    UniqueFd fd{};
  };
  Received receive(std::span<std::byte> buffer) const noexcept;

  int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
};

class LocalListener {
 public:
  // Throws Error(kNoResources), also if the name is taken.
  explicit LocalListener(const std::string& name);
  // Whoever still waits, or comes later, is refused.
  ~LocalListener();
  LocalListener(const LocalListener&) = delete;
  LocalListener& operator=(const LocalListener&) = delete;

  struct Accepted {
    std::optional<LocalSocket> socket;  // none: nobody waits, or
    bool is_exhausted = false;          // the process has no descriptor left
  };
  Accepted accept() const noexcept;

  int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace nixl_connect::base
