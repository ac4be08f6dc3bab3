// SPDX-License-Identifier: Apache-2.0
//
// What an exposing Connector answers to whoever asks for keys of its memory of a GPU,
// by the stand-in for CUDA's driver, for which UCX has no keys: when, and why not.
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <optional>
#include <utility>

#include "base/local_socket.h"
#include "runtime/gpu_order.h"
#include "runtime/resources.h"
#include "wire/control.h"
#include "wire/envelope.h"

namespace nixl_connect::testing {
namespace {

using base::LocalSocket;

class GpuKeys : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override {
    connector_.close();
    stand_in::reset();
  }

  void meet(PassiveOperation& operation) {
    const wire::AgentMetadata agent =
        wire::decode(wire::decode_blob_text(operation.metadata().nixl_metadata));
    extension_ = *agent.extension;
    socket_ = LocalSocket::connect("nixl_connect/" + base::to_hex(extension_.instance));
    ASSERT_TRUE(socket_);
    say(wire::Hello{"asking", agent.connection.value(), "", ""});
  }
  void say(const wire::ControlBody& body) const {
    base::Bytes payload;
    wire::append_to_payload(payload, {sender_, body});
    EXPECT_EQ(socket_->send(payload), LocalSocket::Result::kDone);
  }
  bool has_answer(int timeout_ms) const {
    pollfd event{socket_->fd(), POLLIN, 0};
    return ::poll(&event, 1, timeout_ms) == 1;
  }
  wire::Keys hear() const {
    EXPECT_TRUE(has_answer(20'000));
    std::array<std::byte, 4096> buffer;
    const auto received = socket_->receive(buffer);
    const auto messages = wire::split_payload(received.message);
    EXPECT_EQ(messages.size(), 1U);
    return std::get<wire::Keys>(wire::decode_control(messages.at(0)).body);
  }
  wire::AskKeys question(std::uint64_t operation) const {
    return {operation, extension_.lease.id, extension_.lease.token, 0};
  }

  Gpu gpu_{1};
  Connector connector_{with_gpus()};
  const wire::InstanceId sender_ = runtime::random_instance();
  wire::Extension extension_;
  std::optional<LocalSocket> socket_;
};

TEST_F(GpuKeys, AreNotPromisedWhereUcxHasNone) {
  auto readable = connector_.create_readable(gpu_.descriptor());
  meet(readable);
  EXPECT_FALSE(extension_.gives_keys);
  say(question(5));
  const wire::Keys keys = hear();
  EXPECT_EQ(keys.operation, 5U);
  EXPECT_EQ(keys.count, 0U);
  EXPECT_NE(keys.why_not.find("as the option cuda_driver says"), std::string::npos)
      << keys.why_not;
}

TEST_F(GpuKeys, AreGivenOnlyWhenTheStreamHasComeBy) {
  gpu_.hold();
  gpu_.fill(7);
  auto readable = connector_.create_readable(gpu_.descriptor(), gpu_.ordered());
  meet(readable);
  ASSERT_TRUE(extension_.ready);
  say(question(5));
  stand_in::wait_for_calls("cuEventQuery", stand_in::calls("cuEventQuery") + 3);
  EXPECT_FALSE(has_answer(0));
  gpu_.release();
  EXPECT_EQ(hear().operation, 5U);
}

TEST_F(GpuKeys, AreRefusedWithoutTheTokenAndWhenTheOperationHasEnded) {
  gpu_.hold();
  auto readable = connector_.create_readable(gpu_.descriptor(), gpu_.ordered());
  meet(readable);
  wire::AskKeys forged = question(5);
  forged.token ^= 1;
  say(forged);
  EXPECT_EQ(hear().why_not, "its operation has ended");
  say(question(6));
  readable.cancel();
  const wire::Keys keys = hear();
  EXPECT_EQ(keys.operation, 6U);
  EXPECT_EQ(keys.why_not, "its operation has ended");
  gpu_.release();
}

}  // namespace
}  // namespace nixl_connect::testing
