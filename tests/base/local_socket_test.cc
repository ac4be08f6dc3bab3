// SPDX-License-Identifier: Apache-2.0
//
// Files that go over a local socket; its messages are tested with the local channel.
#include "base/local_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "base/open_files.h"

namespace nixl_connect::base {
namespace {

using Result = LocalSocket::Result;
using testing::count_open_files;
using testing::send_with_files;

class SocketPair : public ::testing::Test {
 protected:
  SocketPair() : SocketPair(pair()) {}

  static std::array<int, 2> pair() {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                           ends.data()),
              0);
    return ends;
  }
  static ino_t inode_of(int fd) {
    struct stat status {};
    EXPECT_EQ(::fstat(fd, &status), 0);
    return status.st_ino;
  }

  const LocalSocket here_;
  const LocalSocket there_;
  const BytesView message_ = as_view("message");
  const UniqueFd file_{::memfd_create("local_socket_test", MFD_CLOEXEC)};
  std::array<std::byte, 64> buffer_{};

 private:
  explicit SocketPair(std::array<int, 2> ends)
      : here_(UniqueFd(ends[0])), there_(UniqueFd(ends[1])) {}
};

TEST_F(SocketPair, HandsOverAFileWithItsMessage) {
  EXPECT_EQ(here_.send(message_, file_.get()), Result::kDone);
  const auto received = there_.receive(buffer_);
  ASSERT_EQ(received.result, Result::kDone);
  EXPECT_EQ(as_text(received.message), "message");
  ASSERT_GE(received.fd.get(), 0);
  EXPECT_NE(received.fd.get(), file_.get());
  EXPECT_EQ(inode_of(received.fd.get()), inode_of(file_.get()));
  EXPECT_EQ(::fcntl(received.fd.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(SocketPair, BringsNoFileWithOtherMessages) {
  EXPECT_EQ(here_.send(message_, file_.get()), Result::kDone);
  EXPECT_EQ(here_.send(message_), Result::kDone);
  EXPECT_GE(there_.receive(buffer_).fd.get(), 0);
  const auto second = there_.receive(buffer_);
  EXPECT_EQ(second.result, Result::kDone);
  EXPECT_EQ(second.fd.get(), -1);
}

TEST_F(SocketPair, EndsAtSeveralFilesAndKeepsNone) {
  const std::size_t before = count_open_files();
  for (const std::size_t count : {2, 3, 100}) {
    ASSERT_TRUE(
        send_with_files(here_.fd(), message_, std::vector<int>(count, file_.get())));
    EXPECT_EQ(there_.receive(buffer_).result, Result::kClosed);
    EXPECT_EQ(count_open_files(), before) << count;
  }
}

TEST_F(SocketPair, KeepsNoFileOfAMessageThatDoesNotFit) {
  const std::size_t before = count_open_files();
  EXPECT_EQ(here_.send(Bytes(buffer_.size() + 1), file_.get()), Result::kDone);
  EXPECT_EQ(there_.receive(buffer_).result, Result::kClosed);
  EXPECT_EQ(count_open_files(), before);
}

TEST_F(SocketPair, KeepsAMessageForWhoseFileThereIsNoDescriptor) {
  EXPECT_EQ(here_.send(message_, file_.get()), Result::kDone);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const int next = ::dup(file_.get());
  ASSERT_EQ(::close(next), 0);
  const rlimit none{static_cast<rlim_t>(next), limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto received = there_.receive(buffer_);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(received.result, Result::kDone);
  EXPECT_EQ(as_text(received.message), "message");
  EXPECT_EQ(received.fd.get(), -1);
}

TEST_F(SocketPair, RefusesWhatCanNeverLeave) {
  EXPECT_EQ(here_.send(message_, 1'000'000), Result::kRefused) << "no such file";
  const int smallest = 1;
  ASSERT_EQ(::setsockopt(here_.fd(), SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(int)), 0);
  EXPECT_EQ(here_.send(Bytes(100'000)), Result::kRefused) << "larger than the buffer";
  EXPECT_EQ(here_.send(message_), Result::kDone) << "it goes on";
}

}  // namespace
}  // namespace nixl_connect::base
