// SPDX-License-Identifier: Apache-2.0
//
// The local channel by itself: two ends in one process, and ends that go.
#include "runtime/local_channels.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "runtime/resources.h"
#include "support/held_exit.h"

namespace nixl_connect::runtime {
namespace {

using Result = base::LocalSocket::Result;

base::Bytes bytes_of(const std::string& text) {
  const base::BytesView view = base::as_view(text);
  return {view.begin(), view.end()};
}

// One end, which notes what it hears.
struct End {
  void run_until(const std::function<bool()>& is_done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!is_done()) {
      pollfd event{channels.event_fd(), POLLIN, 0};
      ::poll(&event, 1, 1000);
      channels.progress();
      ASSERT_LT(std::chrono::steady_clock::now(), limit);
    }
  }
  void run_until_heard(std::size_t count) {
    run_until([&] { return heard.size() >= count; });
  }

  wire::InstanceId instance = random_instance();
  std::vector<std::string> heard;
  std::vector<base::UniqueFd> files;  // that came with them
  LocalChannel* last = nullptr;       // from which something was heard
  int ended = 0;
  int failed = 0;
  int gone = 0;
  int had_room = 0;
  LocalChannels channels{
      instance,
      {[this](LocalChannel& channel, base::BytesView message, base::UniqueFd file) {
         heard.emplace_back(base::as_text(message));
         files.push_back(std::move(file));
         last = &channel;
       },
       [this](LocalChannel&) { ++ended; }, [this](LocalChannel&) { ++failed; },
       [this](LocalChannel&) { ++gone; }, [this](LocalChannel&) { ++had_room; }}};
};

TEST(LocalChannels, CarryMessagesBothWaysInOrder) {
  End here;
  End there;
  LocalChannel* channel = here.channels.connect(there.instance);
  ASSERT_NE(channel, nullptr);
  EXPECT_EQ(channel->pid, ::getpid());
  for (int i = 0; i < 100; ++i)
    here.channels.send(*channel, bytes_of(std::to_string(i)));
  there.run_until_heard(100);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(there.heard[i], std::to_string(i));
  there.channels.send(*there.last, bytes_of("answer"));
  here.run_until_heard(1);
  EXPECT_EQ(here.heard.at(0), "answer");
}

TEST(LocalChannels, TakeAtOnceWhatHasComeFromWhomItIsAsked) {
  End here;
  End there;
  LocalChannel* channel = here.channels.connect(there.instance);
  ASSERT_NE(channel, nullptr);
  here.channels.send(*channel, bytes_of("first"));
  there.run_until_heard(1);
  there.last->peer = 3;
  constexpr std::size_t kMany = 150;  // more than a usual look takes
  for (std::size_t i = 1; i < kMany; ++i) here.channels.send(*channel, bytes_of("x"));
  EXPECT_TRUE(channel->has_delivered);
  there.channels.take_from([](core::PeerId peer) { return peer != 3; });
  EXPECT_EQ(there.heard.size(), 1U);
  there.channels.take_from([](core::PeerId peer) { return peer == 3; });
  EXPECT_EQ(there.heard.size(), kMany);
}

TEST(LocalChannels, KeepWhatTheOtherEndDoesNotTakeYet) {
  End here;
  End there;
  LocalChannel* channel = here.channels.connect(there.instance);
  ASSERT_NE(channel, nullptr);
  const std::string large(100'000, 'x');
  for (int i = 0; i < 100; ++i) here.channels.send(*channel, bytes_of(large));
  EXPECT_FALSE(channel->has_delivered);
  EXPECT_FALSE(here.channels.is_empty());
  there.run_until([&] {
    here.channels.progress();
    return there.heard.size() == 100;
  });
  EXPECT_TRUE(here.channels.is_empty());
  for (const std::string& each : there.heard) EXPECT_EQ(each, large);
}

TEST(LocalChannels, BoundWhatTheOtherEndDoesNotTake) {
  End here;
  End there;
  LocalChannel* channel = here.channels.connect(there.instance);
  ASSERT_NE(channel, nullptr);
  const std::string large(100'000, 'x');
  constexpr std::size_t kTooMany = LocalChannels::kMaxUnsentBytes / 100'000 + 10;
  for (std::size_t i = 0; i < kTooMany; ++i)
    here.channels.send(*channel, bytes_of(large));
  EXPECT_TRUE(here.channels.is_empty()) << "what waited is gone";
  EXPECT_TRUE(here.channels.is_due());
  here.channels.progress();
  EXPECT_EQ(here.failed, 1);
  EXPECT_STREQ(channel->failure, "it does not take its messages");
  EXPECT_FALSE(here.channels.is_due());
  // Its end would tell the other side more than is true.
  const std::size_t before = there.heard.size();
  there.run_until([&] { return there.heard.size() > before; });
  EXPECT_EQ(there.ended, 0);
  here.channels.send(*channel, bytes_of("more"));
  here.channels.progress();
  EXPECT_EQ(here.failed, 1) << "told once";
  there.channels.progress();
  EXPECT_EQ(there.heard.back(), large) << "nothing follows";
}

TEST(LocalChannels, FailAtAMessageThatCanNeverLeave) {
  End here;
  End there;
  LocalChannel* channel = here.channels.connect(there.instance);
  ASSERT_NE(channel, nullptr);
  const int smallest = 1;
  ASSERT_EQ(::setsockopt(channel->socket.fd(), SOL_SOCKET, SO_SNDBUF, &smallest,
                         sizeof(smallest)),
            0);
  here.channels.send(*channel, base::Bytes(100'000));
  here.channels.progress();
  EXPECT_EQ(here.failed, 1);
  EXPECT_STREQ(channel->failure, "a message to it is too large for the socket");
}

TEST(LocalChannels, HandOverAFileAtOnceOrNotAtAll) {
  End here;
  End there;
  LocalChannel* channel = here.channels.connect(there.instance);
  ASSERT_NE(channel, nullptr);
  const base::UniqueFd file(::memfd_create("local_channels_test", MFD_CLOEXEC));
  EXPECT_EQ(here.channels.send_file(*channel, base::as_view("with a file"), file.get()),
            Result::kDone);
  while (here.channels.is_empty())
    here.channels.send(*channel, bytes_of(std::string(100'000, 'x')));
  EXPECT_EQ(here.channels.send_file(*channel, base::as_view("later"), file.get()),
            Result::kNotNow);
  here.channels.progress();
  EXPECT_EQ(here.had_room, 0);
  here.channels.send(*channel, bytes_of("last"));
  there.run_until([&] {
    here.channels.progress();
    return !there.heard.empty() && there.heard.back() == "last";
  });
  EXPECT_EQ(there.heard.front(), "with a file");
  EXPECT_GE(there.files.front().get(), 0);
  EXPECT_EQ(std::count(there.heard.begin(), there.heard.end(), "later"), 0);
  here.run_until([&] { return here.had_room > 0; });
  EXPECT_EQ(here.channels.send_file(*channel, base::as_view("again"), file.get()),
            Result::kDone);
  for (std::size_t i = 1; i < there.files.size(); ++i)
    EXPECT_EQ(there.files[i].get(), -1);
}

TEST(LocalChannels, ReachNobodyUnderAnotherInstance) {
  End here;
  EXPECT_EQ(here.channels.connect(random_instance()), nullptr);
}

TEST(LocalChannels, AreOpenUntilBothEndsHaveHungUp) {
  End here;
  End there;
  LocalChannel* channel = there.channels.connect(here.instance);
  ASSERT_NE(channel, nullptr);
  channel->peer = 7;
  there.channels.send(*channel, bytes_of("goodbye"));
  there.channels.hang_up_all_of(7);
  there.channels.send(*channel, bytes_of("too late"));
  here.run_until([&] { return here.ended == 1; });
  EXPECT_EQ(here.heard, std::vector<std::string>{"goodbye"});
  EXPECT_TRUE(there.channels.has_open(7));

  here.channels.send(*here.last, bytes_of("not yet"));
  there.run_until_heard(1);
  EXPECT_EQ(there.ended, 0);
  here.channels.hang_up(*here.last);
  EXPECT_TRUE(here.last->is_closed);
  there.run_until([&] { return there.ended == 1; });
  EXPECT_FALSE(there.channels.has_open(7));
  here.channels.progress();
  EXPECT_EQ(here.ended, 1) << "told once";
}

// A process that has handed its sockets down to a child, which lives on.
TEST(LocalChannels, TellOfTheDeathOfAProcessWhoseChildLives) {
  End here;
  int child_lives[2];
  ASSERT_EQ(::pipe(child_lives), 0);
  const pid_t process = ::fork();
  if (process == 0) {
    End there;
    LocalChannel* channel = there.channels.connect(here.instance);
    there.channels.send(*channel, bytes_of("here I am"));
    if (::fork() == 0) {  // waits for the test's end of the pipe
      ::close(child_lives[1]);
      char byte = 0;
      static_cast<void>(::read(child_lives[0], &byte, 1));
      ::_exit(0);
    }
    while (true) ::pause();
  }
  here.run_until_heard(1);
  EXPECT_EQ(here.ended, 0);
  ::kill(process, SIGKILL);
  here.run_until([&] { return here.ended == 1; });
  ::waitpid(process, nullptr, 0);
  ::close(child_lives[0]);
  ::close(child_lives[1]);
}

TEST(LocalChannels, AreOpenUntilAProcessThatDiesIsGone) {
  End here;
  const pid_t process = ::fork();
  if (process == 0) {
    End there;
    LocalChannel* channel = there.channels.connect(here.instance);
    std::thread second([] { ::pause(); });
    there.channels.send(*channel, bytes_of("here I am"));
    while (true) ::pause();
  }
  here.run_until_heard(1);
  here.last->peer = 7;
  nixl_connect::testing::HeldExit exit(process);
  ::kill(process, SIGKILL);
  if (!exit.does_hold()) {
    ::waitpid(process, nullptr, 0);
    GTEST_SKIP() << "this process may not trace its child";
  }
  here.run_until([&] { return here.ended == 1; });
  here.channels.hang_up_all_of(7);
  here.channels.progress();
  EXPECT_TRUE(here.channels.has_open(7));
  EXPECT_EQ(here.gone, 0);
  exit.let_go();
  here.run_until([&] { return here.gone == 1; });
  EXPECT_FALSE(here.channels.has_open(7));
  EXPECT_EQ(here.ended, 1);
  ::waitpid(process, nullptr, 0);
}

TEST(LocalChannels, RefuseAProcessOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can pose as somebody else";
  constexpr int kNobody = 65534;
  End here;
  const pid_t process = ::fork();
  if (process == 0) {
    if (::seteuid(kNobody) != 0) ::_exit(2);
    End there;
    ::_exit(there.channels.connect(here.instance) == nullptr ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(process, &status, 0), process);
  EXPECT_EQ(status, 0);
  here.channels.progress();
  EXPECT_TRUE(here.heard.empty());
}

}  // namespace
}  // namespace nixl_connect::runtime
