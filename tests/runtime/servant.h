// SPDX-License-Identifier: Apache-2.0
//
// What a second process does for a test: exposes memory, and moves or explains what
// others expose, as it is told.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "support/child.h"

namespace nixl_connect::testing {

class Servant {
 public:
  static constexpr std::size_t kSize = 3 << 20;

  // Answers pairs of messages, an order and metadata, until the test ends the process:
  //   readable KIND, writable KIND   exposes memory, "allocated" or "plain"; metadata
  //   end                            of that: the status
  //   explain, view, move REQUIRE    of the other side's memory: the plan, or the path
  // To the last two belongs how many bytes are wrong, if any are. Errors are answers.
  [[noreturn]] void serve(const Channel& test) {
    while (true) {
      const std::string order = test.receive_text();
      test.send(carry_out(order, test.receive_text()));
    }
  }

 private:
  std::string carry_out(const std::string& order, const std::string& metadata) {
    std::istringstream words(order);
    std::string verb;
    std::string how;
    words >> verb >> how;
    try {
      if (verb == "readable") return expose_readable(memory_of(how));
      if (verb == "writable") return expose_writable(memory_of(how));
      if (verb == "end") return end_of_exposure();
      const auto remote = RdmaMetadata::from_json(metadata);
      if (verb == "explain") return explain(remote);
      if (verb == "view") return view(remote);
      return move(remote, {.require = how});
    } catch (const Error& error) {
      return std::string(to_string(error.kind())) + ": " + error.what();
    }
  }

  static std::byte pattern(std::size_t i) {
    return static_cast<std::byte>(i * 31 + i / 4096);
  }
  static void fill(std::span<std::byte> memory) {
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = pattern(i);
  }
  static std::string how_filled(std::span<const std::byte> memory) {
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < memory.size(); ++i) wrong += memory[i] != pattern(i);
    return wrong == 0 ? "" : ", " + std::to_string(wrong) + " bytes are wrong";
  }

  std::span<std::byte> memory_of(const std::string& kind) {
    if (kind == "allocated") return {allocated_.data(), kSize};
    return plain_;
  }
  std::string expose_readable(std::span<std::byte> memory) {
    fill(memory);
    exposed_ = std::make_unique<ReadableOperation>(
        connector_.create_readable({memory.data(), kSize}));
    return exposed_->metadata().to_json();
  }
  std::string expose_writable(std::span<std::byte> memory) {
    std::memset(memory.data(), 0, kSize);
    exposed_ = std::make_unique<WritableOperation>(
        connector_.create_writable({memory.data(), kSize}));
    return exposed_->metadata().to_json();
  }
  std::string end_of_exposure() {
    if (!exposed_->wait_for(kSoon)) return "none";
    const Descriptor& memory = exposed_->descriptors()[0];
    return std::string(to_string(exposed_->status())) +
           how_filled({reinterpret_cast<const std::byte*>(memory.ptr()), kSize});
  }
  std::string explain(const RdmaMetadata& remote) {
    const std::vector<Descriptor> local{{local_.data(), kSize}};
    return connector_.explain(remote, local).to_text();
  }
  std::string view(const RdmaMetadata& remote) {
    auto view = connector_.begin_view(remote);
    return view.wait_for(kSoon) ? view.path() : "no end";
  }
  std::string move(const RdmaMetadata& remote, const OperationOptions& options) {
    if (remote.operation_kind == OperationKind::kWrite) {
      fill(local_);
      auto write = connector_.begin_write({local_.data(), kSize}, remote, options);
      return write.wait_for(kSoon) ? write.path() : "no end";
    }
    std::memset(local_.data(), 0, kSize);
    auto read = connector_.begin_read(remote, {local_.data(), kSize}, options);
    if (!read.wait_for(kSoon)) return "no end";
    return read.path() + how_filled(local_);
  }

  const Allocation allocated_ = Connector::allocate(kSize);
  std::vector<std::byte> plain_ = std::vector<std::byte>(kSize);
  std::vector<std::byte> local_ = std::vector<std::byte>(kSize);
  Connector connector_{across_processes()};
  std::unique_ptr<PassiveOperation> exposed_;
};

}  // namespace nixl_connect::testing
