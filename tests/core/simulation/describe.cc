// SPDX-License-Identifier: Apache-2.0
//
// Bodies of describe().
#include "simulation/describe.h"

#include <string_view>

namespace nixl_connect::core::simulation {
namespace {

std::string number(std::uint64_t value) { return std::to_string(value); }

struct MessageText {
  std::string operator()(const wire::Hello&) const { return "Hello"; }
  std::string operator()(const wire::Attach& m) const {
    constexpr std::string_view kAccess[] = {"read", "write", "view"};
    return "Attach{" + number(m.operation) + ", " +
           std::string(kAccess[static_cast<std::size_t>(m.access)]) + ", lease " +
           number(m.lease) + "}";
  }
  std::string operator()(const wire::Grant& m) const {
    return "Grant{" + number(m.operation) + "}";
  }
  std::string operator()(const wire::Done& m) const {
    constexpr std::string_view kStatus[] = {"complete", "cancelled", "failed"};
    return "Done{" + number(m.operation) + ", lease " + number(m.lease) + ", " +
           std::string(kStatus[static_cast<std::size_t>(m.status)]) + ", " +
           number(m.bytes) + "}";
  }
  std::string operator()(const wire::Revoke& m) const {
    return "Revoke{" + number(m.operation) + ", " + m.reason + "}";
  }
  std::string operator()(const wire::Fetch& m) const {
    return "Fetch{" + number(m.what) + ", lease " + number(m.lease) + "}";
  }
  std::string operator()(const wire::FetchedRegion& m) const {
    return "Region{" + number(m.what) + (m.is_granted ? "}" : ", refused}");
  }
  std::string operator()(const wire::AskKeys& m) const {
    return "AskKeys{" + number(m.operation) + ", lease " + number(m.lease) + "}";
  }
  std::string operator()(const wire::Keys& m) const {
    return "Keys{" + number(m.operation) + ", " + number(m.count) + "}";
  }
  std::string operator()(const wire::Serve& m) const {
    return "Serve{" + number(m.operation) + ", lease " + number(m.lease) + "}";
  }
  std::string operator()(const wire::NotServed& m) const {
    return "NotServed{" + number(m.operation) + ", " + m.reason + "}";
  }
};

struct CommandText {
  std::string operator()(const StartTransfer& c) const {
    return "StartTransfer{" + number(c.operation) + "}";
  }
  std::string operator()(const StopTransfer& c) const {
    return "StopTransfer{" + number(c.operation) + "}";
  }
  std::string operator()(const CheckLease& c) const {
    return "CheckLease{" + number(c.operation) + "}";
  }
  std::string operator()(const EndLease& c) const {
    return "EndLease{" + number(c.lease) + (c.is_answered ? ", answered}" : "}");
  }
  std::string operator()(const LookAtLease& c) const {
    return "LookAtLease{" + number(c.operation) + "}";
  }
  std::string operator()(const Notify& c) const {
    return "Notify{peer " + number(c.peer) + ", " + c.key + "}";
  }
  std::string operator()(const Send& c) const {
    return "Send{peer " + number(c.peer) + ", " + describe(c.body) + "}";
  }
  std::string operator()(const DropPeer& c) const {
    return "DropPeer{peer " + number(c.peer) + "}";
  }
  std::string operator()(const Succeed& c) const {
    return "Succeed{" + number(c.operation) + "}";
  }
  std::string operator()(const Recall& c) const {
    return "Recall{" + number(c.operation) + "}";
  }
  std::string operator()(const Finish& c) const {
    return "Finish{" + number(c.operation) + ", " + describe(c.outcome) + "}";
  }
  std::string operator()(const Progress& c) const {
    return "Progress{" + number(c.operation) + ", " + number(c.bytes) + ", " + c.path +
           "}";
  }
};

}  // namespace

std::string describe(const wire::ControlBody& message) {
  return std::visit(MessageText{}, message);
}

std::string describe(const Outcome& outcome) {
  std::string text(to_string(outcome.status));
  if (outcome.failure)
    text += " " + std::string(to_string(outcome.failure->kind)) + ": " +
            outcome.failure->message;
  return text;
}

std::string describe(const Command& command) {
  return std::visit(CommandText{}, command);
}

}  // namespace nixl_connect::core::simulation
