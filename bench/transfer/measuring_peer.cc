// SPDX-License-Identifier: Apache-2.0
//
// See the header. A caller that spins measures the library without the time that waking
// a sleeping thread takes. With several under way it waits without using the CPU, as a
// program would.
#include "transfer/measuring_peer.h"

#include <algorithm>
#include <deque>
#include <stdexcept>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "peer_process.h"
#include "support/contents.h"
#include "support/measure.h"
#include "support/memory.h"

namespace nixl_connect::bench {
namespace {

using tools::Json;

void wait(ActiveOperation& operation) {
  if (operation.wait() != OperationStatus::kComplete) {
    throw std::runtime_error("an operation was cancelled");
  }
}

void spin(ActiveOperation& operation) {
  while (!is_terminal(operation.status())) {
  }
  wait(operation);
}

// Transfers between exposed memory and memory of this process.
class Transfers {
 public:
  Transfers(Connector& connector, const Json& command)
      : connector_(connector),
        is_read_(command.at("kind") == "READ"),
        is_fresh_(command.value("fresh", false)),
        waits_(command.value("waits", false)),
        is_view_(command.value("views", false)),
        remote_(RdmaMetadata::from_json(command.at("metadata").get<std::string>())),
        local_(make_pieces(command.value("count", 1), command.at("size"),
                           Registration::kTogether)) {}

  ActiveOperation begin() {
    if (is_view_) return connector_.begin_view(remote_);
    if (is_read_) return connector_.begin_read(remote_, local_.descriptors);
    return connector_.begin_write(local_.descriptors, remote_);
  }

  void check() {
    if (is_view_) return check_view();
    if (is_read_) {
      clear(local_.descriptors);
    } else {
      fill_with_offsets(local_.descriptors);
    }
    one_at_a_time(1);
    if (is_read_) check_offsets(local_.descriptors);
  }

  std::vector<double> one_at_a_time(unsigned operations) {
    std::vector<double> latencies_us;
    for (unsigned i = 0; i < operations; ++i) {
      if (is_fresh_) refresh();
      const Stopwatch watch;
      ActiveOperation operation = begin();
      if (waits_) {
        wait(operation);
      } else {
        spin(operation);
      }
      latencies_us.push_back(watch.us());
      if (i + 1 == operations) path_ = operation.path();
    }
    return latencies_us;
  }

  // Seconds for all of them, with `window` under way.
  double side_by_side(unsigned operations, unsigned window) {
    const Stopwatch watch;
    std::deque<ActiveOperation> under_way;
    for (unsigned begun = 0; begun < operations || !under_way.empty();) {
      if (begun < operations && under_way.size() < window) {
        under_way.push_back(begin());
        ++begun;
      } else {
        wait(under_way.front());
        under_way.pop_front();
      }
    }
    return watch.seconds();
  }

  // Of the last one.
  const std::string& path() const { return path_; }

 private:
  // A look at it is as good as a copy.
  void check_view() {
    ViewOperation view = connector_.begin_view(remote_);
    wait(view);
    const auto bytes = view.bytes();
    check_offsets(std::vector{Descriptor::read_only(bytes.data(), bytes.size())});
  }

  void refresh() {
    const std::size_t size = local_.descriptors.at(0).size();
    auto memory = make_fresh_memory(size, false);
    local_.descriptors = {{memory.get(), size, {}, memory}};
    local_.memory = std::move(memory);
  }

  Connector& connector_;
  bool is_read_;
  bool is_fresh_;
  bool waits_;
  bool is_view_;
  RdmaMetadata remote_;
  Pieces local_;
  std::string path_;
};

Json measure(Connector& connector, const Json& command) {
  Transfers transfers(connector, command);
  if (command.value("check", false)) transfers.check();
  const unsigned operations = command.at("operations");
  transfers.one_at_a_time(std::max(1U, operations / 10));  // To warm up.
  const auto latencies_us = transfers.one_at_a_time(operations);
  Json answer{{"latencies_us", latencies_us}, {"path", transfers.path()}};
  if (const unsigned window = command.at("window"); window > 0) {
    const double seconds = transfers.side_by_side(operations, window);
    answer["gbps"] = command.at("size").get<double>() * operations / seconds / 1e9;
  }
  return answer;
}

}  // namespace

int run_measuring_peer(const std::string& required_path) {
  tools::ParentProcess parent;
  ConnectorOptions options = ConnectorOptions::from_environment();
  options.require = required_path;
  Connector connector(options);
  parent.serve([&](const Json& command) {
    return command.at("do") == "open" ? Json::object() : measure(connector, command);
  });
  return 0;
}

}  // namespace nixl_connect::bench
