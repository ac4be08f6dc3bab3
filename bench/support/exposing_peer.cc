// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "support/exposing_peer.h"

#include <sys/resource.h>

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "nixl_connect/connector.h"
#include "peer_process.h"
#include "support/contents.h"
#include "support/measure.h"
#include "support/memory.h"

namespace nixl_connect::bench {
namespace {

using tools::Json;

class ExposingPeer {
 public:
  explicit ExposingPeer(bool is_mapped) : is_mapped_(is_mapped) {}
  Json answer(const Json& command);

 private:
  Json open(const Json& command);
  Json expose(const Json& command);
  Json wait(const Json& command);
  Json check(const Json& command);
  Json release(const Json& command);
  Json cpu(const Json& command);

  const bool is_mapped_;
  Pieces pieces_;
  std::optional<Connector> connector_;
  std::optional<PassiveOperation> operation_;
};

Json ExposingPeer::answer(const Json& command) {
  static const std::map<std::string, Json (ExposingPeer::*)(const Json&)> commands = {
      {"open", &ExposingPeer::open},       {"expose", &ExposingPeer::expose},
      {"wait", &ExposingPeer::wait},       {"check", &ExposingPeer::check},
      {"release", &ExposingPeer::release}, {"cpu", &ExposingPeer::cpu}};
  return (this->*commands.at(command.at("do").get<std::string>()))(command);
}

Json ExposingPeer::open(const Json&) {
  const Stopwatch watch;
  connector_.emplace();
  return {{"connector_ms", watch.ms()}};
}

Json ExposingPeer::expose(const Json& command) {
  release(command);
  pieces_ = make_pieces(command.value("count", 1), command.at("size"),
                        is_mapped_                      ? Registration::kMapped
                        : command.value("apart", false) ? Registration::kApart
                                                        : Registration::kTogether);
  const bool is_read = command.at("kind") == "READ";
  if (is_read && command.value("check", false)) fill_with_offsets(pieces_.descriptors);
  OperationOptions options;
  options.readers = command.value("readers", 1U);

  const Stopwatch create;
  if (is_read) {
    operation_ = connector_.value().create_readable(pieces_.descriptors, options);
  } else {
    operation_ = connector_.value().create_writable(pieces_.descriptors, options);
  }
  const double create_ms = create.ms();
  const Stopwatch serialise;
  std::string metadata = operation_.value().metadata().to_json();
  return {{"create_ms", create_ms},
          {"metadata_ms", serialise.ms()},
          {"metadata", std::move(metadata)}};
}

Json ExposingPeer::wait(const Json&) {
  const Stopwatch watch;
  operation_.value().wait();
  return {{"wait_ms", watch.ms()}, {"woke_us", now_us()}};
}

Json ExposingPeer::check(const Json&) {
  check_offsets(pieces_.descriptors);
  return Json::object();
}

Json ExposingPeer::release(const Json&) {
  if (operation_) {
    operation_->cancel();
    operation_->wait();  // Then the memory is quiet and may go.
  }
  operation_.reset();
  pieces_ = {};
  return Json::object();
}

Json ExposingPeer::cpu(const Json&) { return {{"cpu_s", cpu_seconds()}}; }

}  // namespace

int run_exposing_peer(const std::vector<std::string>& arguments) {
  tools::ParentProcess parent;
  ExposingPeer peer(arguments == std::vector<std::string>{"mapped"});
  parent.serve([&](const Json& command) { return peer.answer(command); });
  return 0;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace nixl_connect::bench
