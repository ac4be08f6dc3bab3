// SPDX-License-Identifier: Apache-2.0
//
// A peer of this host whose memory cannot be opened in /proc, and which answers on the
// local channel as a test likes. Behind it stands a real Connector of this process: its
// memory can be reached by host.cma all the same.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <future>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/exported_memory.h"
#include "base/local_socket.h"
#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "runtime/lease_words.h"
#include "runtime/resources.h"
#include "wire/control.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::testing {

class FakePeer {
 public:
  // Called on the peer's own thread, for every message but Hello.
  using Listener = std::function<void(FakePeer&, const wire::ControlBody&)>;

  explicit FakePeer(Listener listener) : listener_(std::move(listener)) {
    std::memcpy(table_.data(), instance_.data(), instance_.size());
    thread_ = std::thread([this] { run(); });
  }
  FakePeer(const FakePeer&) = delete;
  FakePeer& operator=(const FakePeer&) = delete;
  ~FakePeer() {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
  }

  // That of the real operation, under this peer's name, and with numbers of files that
  // lead nowhere.
  RdmaMetadata metadata_of(PassiveOperation& operation) {
    constexpr std::uint32_t kNowhere = 1'000'000;
    RdmaMetadata metadata = operation.metadata();
    wire::AgentMetadata agent =
        wire::decode(wire::decode_blob_text(metadata.nixl_metadata));
    wire::Extension& extension = *agent.extension;
    extension.instance = instance_;
    const std::uint64_t offset = extension.lease_table->word_offset;
    EXPECT_LT(offset, table_.size()) << "too many leases for a table of that size";
    extension.lease_table = {kNowhere, kNowhere, offset};
    std::memcpy(table_.data() + offset, &extension.lease.token,
                sizeof(extension.lease.token));
    for (wire::Export& each : extension.exports) each.fd = kNowhere;
    metadata.nixl_metadata =
        wire::encode_blob_text(wire::encode(agent), wire::BlobText::kBase64);
    return metadata;
  }

  // Of what was asked for. The peer's own lease table is here only.
  base::UniqueFd file_of(std::uint64_t what) const {
    return what == wire::kLeaseTableId ? base::UniqueFd(::dup(table_.fd()))
                                       : base::ExportedMemory::file_of(what);
  }

  // For the thread.
  int socket() const { return socket_->fd(); }
  base::Bytes payload(const std::vector<wire::ControlBody>& bodies) const {
    base::Bytes payload;
    for (const wire::ControlBody& body : bodies)
      wire::append_to_payload(payload, {instance_, body});
    return payload;
  }
  void say(const wire::ControlBody& body, int file = -1) const {
    using Result = base::LocalSocket::Result;
    const Result result = socket_->send(payload({body}), file);
    // Whoever has asked may be gone.
    EXPECT_TRUE(result == Result::kDone || result == Result::kClosed);
  }
  // As an honest peer does.
  void grant(const wire::Fetch& fetch) const {
    say(wire::FetchedRegion{fetch.what, true}, file_of(fetch.what).get());
  }
  void hang_up() { socket_.reset(); }

 private:
  void run() {
    while (true) {
      const int source = socket_ ? socket_->fd() : listening_.fd();
      pollfd events[] = {{source, POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      ::poll(events, 2, -1);
      if (events[1].revents != 0) return;
      if (!socket_) {
        if (auto accepted = listening_.accept().socket)
          socket_.emplace(*std::move(accepted));
        continue;
      }
      hear();
    }
  }
  void hear() {
    std::vector<std::byte> buffer(128 << 10);
    const auto received = socket_->receive(buffer);
    if (received.result == base::LocalSocket::Result::kClosed) return hang_up();
    if (received.result != base::LocalSocket::Result::kDone) return;
    for (const base::BytesView message : wire::split_payload(received.message)) {
      const wire::ControlBody body = wire::decode_control(message).body;
      if (socket_ && !std::holds_alternative<wire::Hello>(body)) listener_(*this, body);
    }
  }

  const Listener listener_;
  const wire::InstanceId instance_ = runtime::random_instance();
  const base::LocalListener listening_{"nixl_connect/" + base::to_hex(instance_)};
  const base::SharedMemory table_{runtime::kLeaseTableName, 4096};
  const base::UniqueFd stop_{::eventfd(0, EFD_CLOEXEC)};
  std::optional<base::LocalSocket> socket_;  // of the thread
  std::thread thread_;
};

// What is said to the peer about fetching only.
inline FakePeer::Listener on_fetch(
    std::function<void(FakePeer&, const wire::Fetch&)> answer) {
  return [answer = std::move(answer)](FakePeer& peer, const wire::ControlBody& body) {
    if (const auto* fetch = std::get_if<wire::Fetch>(&body)) answer(peer, *fetch);
  };
}

}  // namespace nixl_connect::testing
