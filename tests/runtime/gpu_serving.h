// SPDX-License-Identifier: Apache-2.0
//
// For tests of operations whose bytes the other process moves.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "runtime/gpu_ranges.h"
#include "support/child.h"

namespace nixl_connect::testing {

class Serving : public ::testing::Test {
 protected:
  static std::string order(const Child& child, const std::string& text) {
    child.channel().send(text);
    return child.channel().receive_text();
  }
  std::string order(const std::string& text) const { return order(owner_, text); }
  RdmaMetadata ask(const std::string& text) const {
    return RdmaMetadata::from_json(order(text));
  }
  // Which the owner's GPU has been given, and does when it is told "release".
  ReadOperation begin_held_read(const Ranges& local, On remote = On::kGpu,
                                int layout = 1) {
    const RdmaMetadata metadata =
        ask("read " + name_of(remote) + " " + std::to_string(layout));
    order("hold");
    auto read = connector_.begin_read(metadata, local.descriptors());
    EXPECT_EQ(order("wait"), "given");
    return read;
  }

  explicit Serving(const ConnectorOptions& options = without_gpus())
      : connector_(options) {}

  Child owner_{"owner"};
  Connector connector_;
};

}  // namespace nixl_connect::testing
