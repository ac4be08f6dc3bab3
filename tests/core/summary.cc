// SPDX-License-Identifier: Apache-2.0
//
// Body of summary().
#include "summary.h"

#include <string_view>
#include <variant>

namespace nixl_connect::core {
namespace {

std::string name(const wire::ControlBody& message) {
  constexpr std::string_view kDone[] = {"done complete", "done cancelled",
                                        "done failed"};
  if (const auto* attach = std::get_if<wire::Attach>(&message))
    return "attach " + std::to_string(attach->operation);
  if (const auto* grant = std::get_if<wire::Grant>(&message))
    return "grant " + std::to_string(grant->operation);
  if (const auto* revoke = std::get_if<wire::Revoke>(&message))
    return "revoke " + std::to_string(revoke->operation);
  if (const auto* done = std::get_if<wire::Done>(&message))
    return std::string(kDone[static_cast<std::size_t>(done->status)]);
  return "hello";
}

struct Word {
  std::string operator()(const StartTransfer&) const { return "start"; }
  std::string operator()(const StopTransfer&) const { return "stop"; }
  std::string operator()(const CheckLease&) const { return "check"; }
  std::string operator()(const EndLease&) const { return "end lease"; }
  std::string operator()(const LookAtLease&) const { return "look at lease"; }
  std::string operator()(const Notify& c) const { return "notify " + c.key; }
  std::string operator()(const Send& c) const {
    return name(c.body) + " to " + std::to_string(c.peer);
  }
  std::string operator()(const DropPeer& c) const {
    return "drop " + std::to_string(c.peer);
  }
  std::string operator()(const Succeed&) const { return "succeed"; }
  std::string operator()(const Recall&) const { return "recall"; }
  std::string operator()(const Finish& c) const {
    std::string text = "finish " + std::string(to_string(c.outcome.status));
    if (c.outcome.failure)
      text += " " + std::string(to_string(c.outcome.failure->kind));
    return text;
  }
  std::string operator()(const Progress& c) const {
    return "progress " + std::to_string(c.bytes);
  }
};

}  // namespace

std::string summary(Engine& engine) {
  std::string line;
  for (auto commands = engine.take_commands(); !commands.empty();
       commands = engine.take_commands()) {
    for (const Command& command : commands) {
      if (!line.empty()) line += ", ";
      line += std::visit(Word{}, command);
      if (const auto* end = std::get_if<EndLease>(&command);
          end != nullptr && end->is_answered)
        engine.lease_ended(end->lease);
    }
  }
  return line;
}

}  // namespace nixl_connect::core
