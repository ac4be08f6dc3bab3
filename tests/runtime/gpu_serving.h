// SPDX-License-Identifier: Apache-2.0
//
// For tests of operations whose bytes the other process moves.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <string>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "runtime/gpu_ranges.h"
#include "runtime/gpu_servant.h"
#include "support/child.h"

namespace nixl_connect::testing {

class Serving : public WithServant {
 protected:
  explicit Serving(const ConnectorOptions& options = without_gpus())
      : WithServant(options) {}

  using WithServant::order;
  static std::string order(const Child& child, const std::string& text) {
    child.channel().send(text);
    return child.channel().receive_text();
  }
  RdmaMetadata ask(const std::string& text) const {
    return RdmaMetadata::from_json(order(text));
  }
  // Why such a read does not work.
  std::string text_of_read(const RdmaMetadata& metadata, const Ranges& target) {
    auto read = connector_.begin_read(metadata, target.descriptors());
    return text_of([&] { (void)read.wait_for(kSoon); });
  }
  // The same, if a stream waits for the end of what the owner exposes.
  std::string text_of_read_with_a_stream(const std::string& exposed,
                                         const Ranges& target) {
    const RdmaMetadata metadata = ask(exposed);
    EXPECT_EQ(order("stream"), "waits");
    return text_of_read(metadata, target);
  }
  // Which the owner's GPU has been given, and does when it is told "release".
  ReadOperation begin_held_read(const Ranges& local, On remote = On::kGpu,
                                std::size_t layout = 1) {
    const RdmaMetadata metadata = WithServant::ask("read", remote, layout);
    order("hold");
    auto read = connector_.begin_read(metadata, local.descriptors());
    EXPECT_EQ(order("wait"), "given");
    return read;
  }
};

}  // namespace nixl_connect::testing
