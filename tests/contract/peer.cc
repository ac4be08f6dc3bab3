// SPDX-License-Identifier: Apache-2.0
#include "contract/peer.h"

#include <stdexcept>
#include <utility>

#include "contract/orders.h"

namespace nixl_connect::contract {

Peer::Peer(const Path& path) {
  if (!path.is_one_process) {
    child_.emplace(path.name);
    return;
  }
  auto [ours, theirs] = testing::Channel::make_pair();
  channel_ = std::move(ours);
  thread_ = std::thread([&path, end = std::move(theirs)] { serve(path, end); });
}

Peer::~Peer() {
  if (!thread_.joinable()) return;
  channel_.send(Json{{"do", "leave"}}.dump());
  thread_.join();
}

Json Peer::ask(const Json& order) {
  const testing::Channel& channel = child_ ? child_->channel() : channel_;
  channel.send(order.dump());
  Json answer = Json::parse(channel.receive_text());
  if (answer.contains("thrown"))
    throw std::runtime_error(order.at("do").get<std::string>() + ": " +
                             answer.at("thrown").get<std::string>());
  return answer.at("is");
}

Peer::Theirs Peer::expose(OperationKind kind, const Ranges& ranges, std::uint32_t seed,
                          const OperationOptions& options) {
  const Json is = ask({{"do", "expose"},
                       {"kind", kind},
                       {"ranges", ranges},
                       {"seed", seed},
                       {"options", options_json(options)}});
  return {is.at(0), RdmaMetadata::from_json(is.at(1).get<std::string>())};
}

Peer::Theirs Peer::begin(OperationKind kind, const RdmaMetadata& remote,
                         const Ranges& ranges, std::uint32_t seed,
                         const OperationOptions& options) {
  return {ask({{"do", "begin"},
               {"kind", kind},
               {"ranges", ranges},
               {"seed", seed},
               {"options", options_json(options)},
               {"remote", remote.to_json()}})};
}

Ending Peer::end_of(const Theirs& theirs) {
  return ask({{"do", "end"}, {"on", theirs.number}});
}

Ending Peer::cancel(const Theirs& theirs, std::chrono::nanoseconds& took) {
  const Json is = ask({{"do", "cancel"}, {"on", theirs.number}});
  took = std::chrono::nanoseconds(is.at(1).get<std::int64_t>());
  return is.at(0);
}

void Peer::watch(const Theirs& theirs) {
  ask({{"do", "watch"}, {"on", theirs.number}});
}

Watch::Told Peer::told(const Theirs& theirs) {
  const Json is = ask({{"do", "told"}, {"on", theirs.number}});
  return {is.at(0), is.at(1)};
}

std::string Peer::differs_from_filled(const Theirs& theirs, std::uint32_t seed) {
  return ask({{"do", "differs from filled"}, {"on", theirs.number}, {"seed", seed}});
}

std::string Peer::differs_from_cleared(const Theirs& theirs) {
  return ask({{"do", "differs from cleared"}, {"on", theirs.number}});
}

void Peer::clear(const Theirs& theirs) {
  ask({{"do", "clear"}, {"on", theirs.number}});
}

void Peer::unmap(const Theirs& theirs) {
  ask({{"do", "unmap"}, {"on", theirs.number}});
}

void Peer::drop(const Theirs& theirs) { ask({{"do", "drop"}, {"on", theirs.number}}); }

}  // namespace nixl_connect::contract
