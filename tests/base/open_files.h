// SPDX-License-Identifier: Apache-2.0
//
// For tests of files that go from process to process: how many this one has open, and
// messages with more or other files than LocalSocket sends.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <thread>
#include <vector>

#include "base/bytes.h"

namespace nixl_connect::testing {

inline std::size_t count_open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

// Whether no more than so many are open once other threads have closed theirs, for
// which it waits up to 20 s.
inline bool opens_at_most(std::size_t files) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (count_open_files() > files && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  return count_open_files() <= files;
}

// True if the message was sent.
inline bool send_with_files(int socket, base::BytesView message,
                            const std::vector<int>& files) {
  iovec bytes{const_cast<std::byte*>(message.data()), message.size()};
  std::vector<std::byte> control(CMSG_SPACE(files.size() * sizeof(int)));
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* const head = CMSG_FIRSTHDR(&header);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(files.size() * sizeof(int));
  std::memcpy(CMSG_DATA(head), files.data(), files.size() * sizeof(int));
  return ::sendmsg(socket, &header, MSG_NOSIGNAL) >= 0;
}

}  // namespace nixl_connect::testing
