// SPDX-License-Identifier: Apache-2.0
//
// A second process for a test: this program again, started afresh with a role, and the
// messages between the two. One thread at a time.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"

namespace nixl_connect::paths::ucx::testing {

// One end of the channel between test and child. Messages arrive whole and in order.
class Channel {
 public:
  explicit Channel(base::UniqueFd fd) : fd_(std::move(fd)) {}

  void send(base::BytesView message) const;
  void send(std::string_view text) const { send(base::as_view(text)); }

  // Throws std::runtime_error if nothing comes for ten seconds or the other end is
  // gone.
  base::Bytes receive() const;

  // Whether receive() would not wait.
  bool is_readable() const;

  int fd() const noexcept { return fd_.get(); }

 private:
  base::UniqueFd fd_;
};

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

 private:
  pid_t pid_ = -1;
  Channel channel_;
};

// What a child process does, by the name of its role. Returns the exit status.
int run_role(std::string_view role);

// The roles.
void serve_memory(const Channel& test);    // peer_role.cc
void report_library(const Channel& test);  // library_role.cc
void report_fork(const Channel& test);     // library_role.cc

}  // namespace nixl_connect::paths::ucx::testing
