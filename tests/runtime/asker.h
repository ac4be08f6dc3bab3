// SPDX-License-Identifier: Apache-2.0
//
// Says to an exposing Connector, on its local channel, also what no Connector would
// say. To the kernel it is another process: that which has connected.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/local_socket.h"
#include "nixl_connect/connector.h"
#include "runtime/local_channels.h"
#include "runtime/resources.h"
#include "support/forked_process.h"
#include "wire/control.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::testing {

inline wire::AgentMetadata agent_of(PassiveOperation& operation) {
  return wire::decode(wire::decode_blob_text(operation.metadata().nixl_metadata));
}

class Asker {
 public:
  // The Connector is the one that exposes that operation.
  enum class Greeting { kAtOnce, kLater };
  explicit Asker(PassiveOperation& operation, Greeting greeting = Greeting::kAtOnce)
      : agent_(agent_of(operation)) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::runtime_error("no sockets");
    const base::LocalSocket here{base::UniqueFd(ends[0])};
    const base::LocalSocket there{base::UniqueFd(ends[1])};
    process_.emplace([&] {
      const auto made = base::LocalSocket::connect("nixl_connect/" +
                                                   base::to_hex(extension().instance));
      if (made) there.send(std::array{std::byte{1}}, made->fd());
    });
    std::array<std::byte, 1> byte;
    auto received = here.receive(byte);
    if (received.fd.get() < 0)
      throw std::runtime_error("the Connector has no local channel");
    socket_.emplace(std::move(received.fd));
    if (greeting == Greeting::kAtOnce) greet();
  }

  void greet() const { say(wire::Hello{"asking", agent_.connection.value(), "", ""}); }
  void say(const wire::ControlBody& body) const {
    base::Bytes payload;
    wire::append_to_payload(payload, {sender_, body});
    EXPECT_EQ(socket_->send(payload), base::LocalSocket::Result::kDone);
  }
  bool has_answer(int timeout_ms) const {
    pollfd event{socket_->fd(), POLLIN, 0};
    return ::poll(&event, 1, timeout_ms) == 1;
  }
  template <typename Body>
  Body hear() const {
    const auto messages = hear_all();
    EXPECT_EQ(messages.size(), 1U);
    return std::get<Body>(messages.at(0));
  }
  // What came in one payload.
  std::vector<wire::ControlBody> hear_all() const {
    EXPECT_TRUE(has_answer(20'000));
    std::vector<std::byte> buffer(runtime::LocalChannels::kMaxMessageBytes);
    const auto received = socket_->receive(buffer);
    std::vector<wire::ControlBody> bodies;
    for (const base::BytesView each : wire::split_payload(received.message))
      bodies.push_back(wire::decode_control(each).body);
    return bodies;
  }

  const wire::AgentMetadata& agent() const { return agent_; }
  const wire::Extension& extension() const { return *agent_.extension; }
  const wire::InstanceId& instance() const { return sender_; }

 private:
  const wire::AgentMetadata agent_;
  const wire::InstanceId sender_ = runtime::random_instance();
  std::optional<base::LocalSocket> socket_;
  std::optional<ForkedProcess> process_;
};

}  // namespace nixl_connect::testing
