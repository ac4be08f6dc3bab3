// SPDX-License-Identifier: Apache-2.0
//
// The process, or thread, behind a Peer.
#include <sys/resource.h>

#include <functional>
#include <future>
#include <map>
#include <utility>

#include "contract/orders.h"
#include "contract/peer.h"

namespace nixl_connect::contract {
namespace {

class Server {
 public:
  explicit Server(const Path& path) : side_(path.there, path.options()) {}

  Json answer(const Json& order) {
    const auto found = orders_.find(order.at("do").get<std::string>());
    return found == orders_.end() ? on_operation(order) : found->second(order);
  }

 private:
  using Order = std::function<Json(const Json&)>;

  Json expose(const Json& order) {
    held_.emplace(next_,
                  side_.expose(order.at("kind"), order.at("ranges"), order.at("seed"),
                               options_of(order.at("options"))));
    return {next_, held_.at(next_++).metadata.to_json()};
  }

  Json begin(const Json& order) {
    const auto remote = RdmaMetadata::from_json(order.at("remote").get<std::string>());
    held_.emplace(next_,
                  side_.begin(order.at("kind"), remote, order.at("ranges"),
                              order.at("seed"), options_of(order.at("options"))));
    return next_++;
  }

  Json on_operation(const Json& order) {
    const std::string what = order.at("do");
    const int number = order.at("on");
    Held& held = held_.at(number);
    if (what == "end") return end_of(*held.operation);
    if (what == "cancel") return cancel(*held.operation);
    if (what == "differs from filled")
      return held.arena.differs_from_filled(order.at("seed"));
    if (what == "differs from cleared") return held.arena.differs_from_cleared();
    if (what == "told") return told(number);
    if (what == "watch") {
      watches_.emplace(number, held.operation);
    } else if (what == "clear") {
      held.arena.clear();
    } else if (what == "unmap") {
      held.arena.unmap();
    } else if (what == "drop") {
      held_.erase(number);
    }
    return {};
  }

  static Json cancel(Operation& operation) {
    const auto start = std::chrono::steady_clock::now();
    operation.cancel();
    const Ending ending = end_of(operation);
    const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - start;
    std::promise<void> quiet;  // a readable that stays open had ended before
    operation.on_quiet([&](OperationStatus) { quiet.set_value(); });
    quiet.get_future().get();
    return {ending, took.count()};
  }

  Json told(int number) {
    const Watch::Told told = watches_.at(number).told();
    return {told.calls, told.ends};
  }

  const std::map<std::string, Order> orders_{
      {"expose", [this](const Json& order) { return expose(order); }},
      {"begin", [this](const Json& order) { return begin(order); }},
  };
  Side side_;
  int next_ = 0;
  std::map<int, Held> held_;
  std::map<int, Watch> watches_;
};

}  // namespace

void serve(const Path& path, const testing::Channel& test) {
  Server server(path);
  while (true) {
    const Json order = Json::parse(test.receive_text());
    if (order.at("do") == "leave") return;
    Json answer;
    try {
      answer["is"] = server.answer(order);
    } catch (const std::exception& error) {
      answer["thrown"] = error.what();
    }
    test.send(answer.dump());
  }
}

}  // namespace nixl_connect::contract

int nixl_connect::testing::run_role(std::string_view role, const Channel& test) {
  // Some of the tests make it crash.
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  contract::serve(contract::path_named(role), test);
  return 0;
}
