// SPDX-License-Identifier: Apache-2.0
//
// The process behind a Peer: carries out the test's orders until the test hangs up.
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <span>
#include <utility>

#include "paths/ucx/pattern.h"
#include "paths/ucx/peer.h"
#include "paths/ucx/roles.h"
#include "paths/ucx/session.h"

namespace nixl_connect::paths::ucx::testing {
namespace {

constexpr std::array<std::uint32_t, 2> kMessageIds{0, 20};

// Made read-only, if at all, before it is registered.
struct Exposed {
  Exposed(const Context& context, std::uint64_t size, std::uint64_t seed,
          bool is_read_only)
      : pages(prepare(size, seed, is_read_only)),
        registration(context, pages->address(), size) {}

  static std::unique_ptr<Pages> prepare(std::uint64_t size, std::uint64_t seed,
                                        bool is_read_only) {
    auto pages = std::make_unique<Pages>(size);
    if (seed != 0) fill(pages->bytes(), seed);
    if (is_read_only) pages->make_read_only();
    return pages;
  }

  std::unique_ptr<Pages> pages;
  Registration registration;
};

class Server {
 public:
  explicit Server(const Channel& test) : test_(test) {
    for (const std::uint32_t id : kMessageIds)
      session_.worker.on_message(id, [this, id](base::BytesView payload) {
        messages_.emplace_back(id, base::Bytes(payload.begin(), payload.end()));
      });
    test_.send(session_.worker.address());
  }

  // False when the test is over.
  bool serve_one() {
    while (!has_order()) session_.step(test_.fd());
    if (is_over_) return false;
    const base::Bytes order = test_.receive();
    base::Reader reader(order);
    switch (static_cast<Order>(reader.u8().value())) {
      case Order::kExpose:
        expose(reader);
        break;
      case Order::kMatches:
        compare(reader);
        break;
      case Order::kSend:
        send(reader);
        break;
      case Order::kNextMessage:
        next_message();
        break;
    }
    return true;
  }

 private:
  // The end of the channel counts as the last order.
  bool has_order() {
    std::byte first{};
    const ssize_t size = ::recv(test_.fd(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    is_over_ = size == 0;
    return size >= 0;
  }

  void expose(base::Reader& reader) {
    const std::uint64_t size = reader.u64().value();
    const std::uint64_t seed = reader.u64().value();
    const bool is_read_only = reader.u8().value() == 1;
    const Exposed& exposed =
        exposed_.emplace_back(session_.context, size, seed, is_read_only);
    base::Writer answer;
    answer.u64(exposed.pages->address());
    answer.raw(exposed.registration.packed_rkey());
    test_.send(answer.bytes());
  }

  void compare(base::Reader& reader) const {
    const std::uint64_t address = reader.u64().value();
    const std::uint64_t size = reader.u64().value();
    const std::uint64_t seed = reader.u64().value();
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    const auto* memory = reinterpret_cast<const std::byte*>(address);
    base::Writer answer;
    answer.u8(matches({memory, size}, seed) ? 1 : 0);
    test_.send(answer.bytes());
  }

  void send(base::Reader& reader) {
    const std::uint32_t id = reader.u32().value();
    const auto address = reader.raw(reader.u32().value()).value();
    Endpoint& endpoint = session_.worker.connect(address, [](const std::string&) {});
    endpoint.send(id, {reader.rest().begin(), reader.rest().end()});
  }

  void next_message() {
    session_.run_until([this] { return !messages_.empty(); });
    base::Writer answer;
    answer.u32(messages_.front().first);
    answer.raw(messages_.front().second);
    messages_.pop_front();
    test_.send(answer.bytes());
  }

  const Channel& test_;
  bool is_over_ = false;
  std::deque<std::pair<std::uint32_t, base::Bytes>> messages_;
  Session session_;
  std::list<Exposed> exposed_;
};

}  // namespace

void serve_memory(const Channel& test) {
  Server server(test);
  while (server.serve_one()) {
  }
}

}  // namespace nixl_connect::paths::ucx::testing
