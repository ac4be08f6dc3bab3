// SPDX-License-Identifier: Apache-2.0
//
// A second process for a test: this program again, started afresh with a role, and the
// messages between the two. One thread at a time.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"

namespace nixl_connect::testing {

// One end of the channel between test and child. Messages arrive whole and in order.
class Channel {
 public:
  explicit Channel(base::UniqueFd fd) : fd_(std::move(fd)) {}
  static std::pair<Channel, Channel> make_pair();

  // Throws std::system_error if the other end is gone.
  void send(base::BytesView message) const;
  void send(std::string_view text) const { send(base::as_view(text)); }

  // Throws std::runtime_error if nothing comes for 100 seconds or the other end is
  // gone.
  base::Bytes receive() const;
  std::string receive_text() const { return std::string(base::as_text(receive())); }

  // Whether receive() would not wait.
  bool is_readable() const;

  // Returns when the other end is gone, or has sent something.
  void wait_for_hang_up() const;

  int fd() const noexcept { return fd_.get(); }

 private:
  void receive_all(void* bytes, std::size_t size) const;

  base::UniqueFd fd_;
};

// Killed and reaped by the destructor.
class Child {
 public:
  // `environment`: "NAME=value" on top of this process's own.
  explicit Child(const std::string& role, std::vector<std::string> environment = {});
  ~Child() { kill(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  const Channel& channel() const noexcept { return channel_; }
  pid_t pid() const noexcept { return pid_; }

  // SIGKILL; returns when the process is gone.
  void kill();

  // On return none of its threads runs.
  void stop() const;
  void signal(int number) const;

 private:
  pid_t pid_ = -1;
  Channel channel_;
};

// What a child process does, by the name of its role; returns the exit status. Each
// program has one of its own.
int run_role(std::string_view role, const Channel& test);

// For main(): the exit status of the role that the arguments name, which is then over;
// nothing if they name none. What a role throws goes to standard error.
std::optional<int> play_role(int argc, char** argv);

}  // namespace nixl_connect::testing
