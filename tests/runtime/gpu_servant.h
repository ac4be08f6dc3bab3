// SPDX-License-Identifier: Apache-2.0
//
// What a test's second process does with memory of the host or of a GPU, as it is told.
#pragma once

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "nixl_connect/connector.h"
#include "paths/cuda/stand_in/control.h"
#include "runtime/buffers.h"
#include "runtime/gpu_ranges.h"
#include "runtime/losing.h"
#include "support/child.h"

namespace nixl_connect::testing {

namespace stand_in = paths::cuda::stand_in;

inline ConnectorOptions with_gpus() {
  ConnectorOptions options = across_processes();
  options.cuda_driver = stand_in::file();
  return options;
}

// As a user without rights, whose processes can look into each other, or not.
inline bool become_nobody(bool is_to_be_seen) {
  constexpr uid_t kNobody = 65534;
  if (::getuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0))
    return false;
  return ::prctl(PR_SET_DUMPABLE, is_to_be_seen ? 1 : 0) == 0;
}

// Exposes ranges, reads and writes those of others, and holds its GPU up.
class Servant {
 public:
  explicit Servant(ConnectorOptions options = with_gpus())
      : options_(std::move(options)) {}

  std::string carry_out(const std::string& order) {
    std::istringstream words(order);
    std::string verb;
    std::string on;
    std::size_t layout = 0;
    words >> verb >> on >> layout;
    if (verb == "hide") return become_nobody(false) ? "hidden" : "not";
    if (verb == "show") return become_nobody(true) ? "shown" : "not";
    if (verb == "check") return check();
    if (verb == "free") return free();
    if (verb == "cancel") return cancel();
    if (verb == "end") return text_of([&] { finish(*exposed_); });
    if (verb == "hold") return hold();
    if (verb == "wait") return wait();
    if (verb == "stream") {  // one that waits for the end
      stream_ = std::make_unique<Session>(0);
      exposed_->wait_on({stream_->stream()});
      return "waits";
    }
    if (verb == "release") {
      stand_in::release_streams();
      return "released";
    }
    make(on_of(on), kLayouts[layout]);
    if (verb == "pull") return pull(metadata_in(words));
    if (verb == "give") return give(metadata_in(words));
    if (verb == "push") return push(metadata_in(words));
    ranges_->fill(kRead);
    OperationOptions options;
    if (std::uint32_t readers = 0; words >> readers) options.readers = readers;
    if (verb == "read")
      exposed_ = std::make_unique<ReadableOperation>(
          connector_->create_readable(ranges_->descriptors(), options));
    else
      exposed_ = std::make_unique<WritableOperation>(
          connector_->create_writable(ranges_->descriptors()));
    return exposed_->metadata().to_json();
  }

  static constexpr unsigned kRead = 7;
  static constexpr unsigned kWritten = 90;

 private:
  // With this each batch of a copy ends.
  static constexpr const char* kEnd = "cuStreamWriteValue32";

  static RdmaMetadata metadata_in(std::istringstream& words) {
    std::string json;
    std::getline(words, json);
    return RdmaMetadata::from_json(json);
  }

  void make(On on, Layout layout) {
    if (!connector_) connector_ = std::make_unique<Connector>(options_);
    exposed_ = nullptr;
    ranges_ = std::make_unique<Ranges>(on, layout);
  }
  std::string check() {
    finish(*exposed_);
    return ranges_->has(kWritten) ? "right" : "wrong";
  }
  std::string free() {
    exposed_->cancel();
    finish(*exposed_);
    exposed_ = nullptr;
    ranges_ = nullptr;
    return "freed";
  }
  // Nothing tells that it goes on: a wrong end would come within this time.
  std::string cancel() {
    exposed_->cancel();
    return exposed_->wait_for(std::chrono::milliseconds(50)) ? "quiet" : "busy";
  }
  // What the GPU is given from now on it does after "release".
  std::string hold() {
    ends_before_ = stand_in::calls(kEnd);
    stand_in::hold_streams();
    return "held";
  }
  // Until it has been given something.
  std::string wait() const {
    stand_in::wait_for_calls(kEnd, ends_before_ + 1);
    return "given";
  }
  // Which the GPU has been given, and never does.
  std::string push(const RdmaMetadata& metadata) {
    std::string held = hold();
    pushed_ = std::make_unique<WriteOperation>(
        connector_->begin_write(ranges_->descriptors(), metadata));
    wait();
    return held;
  }
  std::string give(const RdmaMetadata& metadata) const {
    return text_of([&] {
      auto write = connector_->begin_write(ranges_->descriptors(), metadata);
      finish(write);
    });
  }
  // The path, or what was against it.
  std::string pull(const RdmaMetadata& metadata) const {
    try {
      auto read = connector_->begin_read(metadata, ranges_->descriptors());
      finish(read);
      return ranges_->has(kRead) ? read.path() : "wrong";
    } catch (const Error& error) {
      return error.what();
    }
  }

  const ConnectorOptions options_;
  unsigned ends_before_ = 0;
  std::unique_ptr<Session> stream_;
  std::unique_ptr<Ranges> ranges_;
  std::unique_ptr<Connector> connector_;
  std::unique_ptr<PassiveOperation> exposed_;
  std::unique_ptr<WriteOperation> pushed_;
};

// A Connector here, and a Servant in another process.
class WithServant : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override { stand_in::reset(); }

  std::string order(const std::string& text) const {
    owner_.channel().send(text);
    return owner_.channel().receive_text();
  }
  RdmaMetadata ask(const std::string& verb, On on, std::size_t layout) const {
    return RdmaMetadata::from_json(
        order(verb + " " + name_of(on) + " " + std::to_string(layout)));
  }

  // Which the GPU has been given, and does when the streams are released.
  ReadOperation begin_held_read(const Ranges& local, On remote, std::size_t layout) {
    held_ = ask("read", remote, layout);
    stand_in::hold_streams();
    auto read = connector_.begin_read(held_, local.descriptors());
    stand_in::wait_for_calls("cuStreamWriteValue32", 1);
    return read;
  }
  // Of whom that read is; see kill_noticed().
  void kill_owner(const Ranges& local) {
    kill_noticed(owner_, connector_, held_, local.descriptors());
  }

  explicit WithServant(const ConnectorOptions& options = with_gpus())
      : connector_(options) {}

  Child owner_{"owner"};
  Connector connector_;

 private:
  RdmaMetadata held_;
};

}  // namespace nixl_connect::testing
