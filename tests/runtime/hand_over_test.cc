// SPDX-License-Identifier: Apache-2.0
//
// What an exposing Connector hands over to whoever asks on its local channel: to those
// who hold a living lease's token its memory, to all others nothing.
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/exported_memory.h"
#include "base/local_socket.h"
#include "base/open_files.h"
#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "runtime/fetches.h"
#include "runtime/lease_words.h"
#include "runtime/resources.h"
#include "wire/control.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::runtime {
namespace {

using base::LocalSocket;
using base::SharedMemory;

class HandOver : public ::testing::Test {
 protected:
  struct Answer {
    wire::FetchedRegion region;
    base::UniqueFd file;
  };

  HandOver()
      : agent_(
            wire::decode(wire::decode_blob_text(readable_.metadata().nixl_metadata))) {}

  LocalSocket connect() const {
    auto socket =
        LocalSocket::connect("nixl_connect/" + base::to_hex(extension().instance));
    EXPECT_TRUE(socket);
    return *std::move(socket);
  }
  LocalSocket connect_and_greet() const {
    LocalSocket socket = connect();
    say(socket, wire::Hello{"asking", agent_.connection.value(), "", ""});
    return socket;
  }

  void say(const LocalSocket& socket, const wire::ControlBody& body) const {
    base::Bytes payload;
    wire::append_to_payload(payload, {sender_, body});
    EXPECT_EQ(socket.send(payload), LocalSocket::Result::kDone);
  }

  Answer hear(const LocalSocket& socket) const {
    std::array<std::byte, 4096> buffer;
    pollfd event{socket.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&event, 1, 20'000), 1) << "no answer";
    auto received = socket.receive(buffer);
    EXPECT_EQ(received.result, LocalSocket::Result::kDone);
    const auto messages = wire::split_payload(received.message);
    EXPECT_EQ(messages.size(), 1U);
    const auto message = wire::decode_control(messages.at(0));
    EXPECT_EQ(message.sender, extension().instance);
    return {std::get<wire::FetchedRegion>(message.body), std::move(received.fd)};
  }

  Answer ask(const LocalSocket& socket, const wire::Fetch& fetch) const {
    say(socket, fetch);
    Answer answer = hear(socket);
    EXPECT_EQ(answer.region.what, fetch.what);
    EXPECT_EQ(answer.region.is_granted, answer.file.get() >= 0);
    return answer;
  }

  // Answers to so many fit into no socket's buffer.
  static constexpr int kTooMany = 2000;

  void ask_and_do_not_take(const LocalSocket& socket, const wire::Fetch& fetch,
                           int times) const {
    constexpr int kAtOnce = 500;
    while (times > 0) {
      base::Bytes payload;
      for (int i = 0; i < std::min(times, kAtOnce); ++i)
        wire::append_to_payload(payload, {sender_, fetch});
      while (socket.send(payload) == LocalSocket::Result::kNotNow) {
        pollfd event{socket.fd(), POLLOUT, 0};
        ASSERT_EQ(::poll(&event, 1, 20'000), 1);
      }
      times -= kAtOnce;
    }
  }
  // Of so many answers.
  int count_granted(const LocalSocket& socket, int answers) const {
    int granted = 0;
    for (int i = 0; i < answers; ++i) {
      const Answer answer = hear(socket);
      granted += answer.region.is_granted ? 1 : 0;
      EXPECT_EQ(answer.region.is_granted, answer.file.get() >= 0);
    }
    return granted;
  }

  // Whoever asks later is answered later.
  void wait_until_all_was_heard() {
    Connector another(testing::across_processes());
    testing::Buffer source(64, 6);
    testing::Buffer target(64);
    auto writable = exposer_.create_writable(target.descriptor());
    auto write = another.begin_write(source.descriptor(), writable.metadata());
    EXPECT_EQ(testing::finish(write), OperationStatus::kComplete);
  }

  const wire::Extension& extension() const { return *agent_.extension; }
  const wire::LeaseRecord& lease() const { return extension().lease; }
  std::uint64_t export_id() const { return extension().exports.at(0).id; }

  const wire::InstanceId sender_ = random_instance();
  Connector exposer_{testing::across_processes()};
  const Allocation memory_ = Connector::allocate(10'000);
  ReadableOperation readable_ = exposer_.create_readable(memory_.descriptor());
  const wire::AgentMetadata agent_;
};

TEST_F(HandOver, GivesItsMemoryAndItsLeaseTableForTheToken) {
  const LocalSocket socket = connect_and_greet();
  Answer answer = ask(socket, {lease().id, lease().token, export_id()});
  const auto memory =
      SharedMemory::of_fd(answer.file, base::exported_name(export_id()).c_str(),
                          SharedMemory::Access::kReadWrite);
  ASSERT_TRUE(memory);
  memory_.data()[9'999] = std::byte{7};
  EXPECT_EQ(memory->data()[9'999], std::byte{7});

  answer = ask(socket, {lease().id, lease().token, 0});
  const auto table = SharedMemory::of_fd(answer.file, kLeaseTableName);
  ASSERT_TRUE(table);
  EXPECT_EQ(std::memcmp(table->data(), extension().instance.data(), 16), 0);
  std::uint64_t word = 0;
  std::memcpy(&word, table->data() + extension().lease_table->word_offset, 8);
  EXPECT_EQ(word, lease().token);
}

TEST_F(HandOver, GivesALeaseTableThatNobodyElseCanWriteTo) {
  const LocalSocket socket = connect_and_greet();
  Answer answer = ask(socket, {lease().id, lease().token, 0});
  ASSERT_GE(answer.file.get(), 0);
  EXPECT_FALSE(SharedMemory::of_fd(answer.file, kLeaseTableName,
                                   SharedMemory::Access::kReadWrite));
}

TEST_F(HandOver, GivesNothingWithoutTheToken) {
  const LocalSocket socket = connect_and_greet();
  for (const std::uint64_t token :
       {std::uint64_t{0}, lease().token ^ 1, ~lease().token})
    for (const std::uint64_t what : {std::uint64_t{0}, export_id()})
      EXPECT_FALSE(ask(socket, {lease().id, token, what}).region.is_granted);
  EXPECT_FALSE(
      ask(socket, {lease().id + 1, lease().token, export_id()}).region.is_granted)
      << "that of another lease";
  EXPECT_TRUE(ask(socket, {lease().id, lease().token, export_id()}).region.is_granted);
}

TEST_F(HandOver, GivesNothingOnceTheLeaseIsOver) {
  const LocalSocket socket = connect_and_greet();
  EXPECT_TRUE(ask(socket, {lease().id, lease().token, export_id()}).region.is_granted);
  readable_.cancel();
  testing::finish(readable_);
  EXPECT_FALSE(ask(socket, {lease().id, lease().token, export_id()}).region.is_granted);
  EXPECT_FALSE(ask(socket, {lease().id, lease().token, 0}).region.is_granted);
}

TEST_F(HandOver, GivesNoMemoryThatIsNotExported) {
  const LocalSocket socket = connect_and_greet();
  EXPECT_FALSE(
      ask(socket, {lease().id, lease().token, export_id() + 1}).region.is_granted);
}

// What comes first is answered first: there is one answer, and it is to the second.
TEST_F(HandOver, DoesNotAnswerThoseWhoHaveNotGreeted) {
  const LocalSocket socket = connect();
  say(socket, wire::Fetch{lease().id, lease().token, export_id()});
  say(socket, wire::Hello{"asking", agent_.connection.value(), "", ""});
  EXPECT_EQ(ask(socket, {lease().id, lease().token, 0}).region.what, 0U);
}

TEST_F(HandOver, KeepsNoFileForThoseWhoAskAndDoNotTake) {
  const LocalSocket socket = connect_and_greet();
  wait_until_all_was_heard();  // and UCX has opened what it needs
  const std::size_t before = testing::count_open_files();
  ask_and_do_not_take(socket, {lease().id, lease().token, export_id()}, kTooMany);
  wait_until_all_was_heard();
  const int granted = count_granted(socket, kTooMany);
  EXPECT_GT(granted, 0);
  EXPECT_LT(granted, kTooMany)
      << "there was room for all, so that this has tested nothing";
  EXPECT_TRUE(testing::opens_at_most(before));
}

TEST_F(HandOver, AnswersWhatFindsNoRoomWhenThereIsSome) {
  constexpr int kSome = Fetches::kMostAsked;
  const LocalSocket socket = connect_and_greet();
  const std::uint64_t no_token = ~lease().token;
  ask_and_do_not_take(socket, {lease().id, no_token, export_id()}, kTooMany);
  wait_until_all_was_heard();
  ask_and_do_not_take(socket, {lease().id, lease().token, export_id()}, kSome);
  wait_until_all_was_heard();
  EXPECT_EQ(count_granted(socket, kTooMany + kSome), kSome);
}

}  // namespace
}  // namespace nixl_connect::runtime
