// SPDX-License-Identifier: Apache-2.0
//
// Says to an exposing Connector, on its local channel, also what no Connector would
// say. In this process.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <variant>

#include "base/bytes.h"
#include "base/local_socket.h"
#include "nixl_connect/connector.h"
#include "runtime/resources.h"
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
      : agent_(agent_of(operation)),
        socket_(base::LocalSocket::connect("nixl_connect/" +
                                           base::to_hex(extension().instance))) {
    if (!socket_) throw std::runtime_error("the Connector has no local channel");
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
    EXPECT_TRUE(has_answer(20'000));
    std::array<std::byte, 4096> buffer;
    const auto received = socket_->receive(buffer);
    const auto messages = wire::split_payload(received.message);
    EXPECT_EQ(messages.size(), 1U);
    return std::get<Body>(wire::decode_control(messages.at(0)).body);
  }

  const wire::AgentMetadata& agent() const { return agent_; }
  const wire::Extension& extension() const { return *agent_.extension; }
  const wire::InstanceId& instance() const { return sender_; }

 private:
  const wire::AgentMetadata agent_;
  const wire::InstanceId sender_ = runtime::random_instance();
  const std::optional<base::LocalSocket> socket_;
};

}  // namespace nixl_connect::testing
