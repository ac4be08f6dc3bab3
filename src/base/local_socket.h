// SPDX-License-Identifier: Apache-2.0
//
// Connections between processes of one host: whole messages, in order, and the kernel's
// word for who is at the other end. Unix sockets under names that no file bears, so
// that nothing is left behind; they do not reach into another network namespace.
// Nothing here blocks. Resources; one thread at a time.
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

  enum class Result { kDone, kNotNow, kClosed };

  // A message of at least a byte, which fits into the receiver's buffer.
  Result send(BytesView message) const noexcept;

  // The next one, put into `buffer`. One that does not fit counts as the end.
  struct Received {
    Result result = Result::kClosed;
    BytesView message;
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
