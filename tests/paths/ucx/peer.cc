// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/peer.h"

#include <utility>

namespace nixl_connect::paths::ucx::testing {
namespace {

base::Writer begin(Order order) {
  base::Writer writer;
  writer.u8(static_cast<std::uint8_t>(order));
  return writer;
}

base::Bytes rest_of(const base::Reader& reader) {
  return {reader.rest().begin(), reader.rest().end()};
}

}  // namespace

Peer::Peer() : child_("peer"), address_(child_.channel().receive()) {}

base::Bytes Peer::ask(const base::Writer& order) {
  child_.channel().send(order.bytes());
  return child_.channel().receive();
}

RemoteMemory Peer::expose(std::uint64_t size, std::uint64_t seed, bool is_read_only) {
  base::Writer order = begin(Order::kExpose);
  order.u64(size);
  order.u64(seed);
  order.u8(is_read_only ? 1 : 0);
  const base::Bytes answer = ask(order);
  base::Reader reader(answer);
  const std::uint64_t address = reader.u64().value();
  return {address, size, rest_of(reader)};
}

bool Peer::matches(const RemoteMemory& memory, std::uint64_t seed) {
  base::Writer order = begin(Order::kMatches);
  order.u64(memory.address);
  order.u64(memory.size);
  order.u64(seed);
  const base::Bytes answer = ask(order);
  return base::Reader(answer).u8().value() == 1;
}

void Peer::send(base::BytesView worker_address, std::uint32_t id,
                base::BytesView payload) {
  base::Writer order = begin(Order::kSend);
  order.u32(id);
  order.u32(static_cast<std::uint32_t>(worker_address.size()));
  order.raw(worker_address);
  order.raw(payload);
  child_.channel().send(order.bytes());
}

void Peer::want_message() { child_.channel().send(begin(Order::kNextMessage).bytes()); }

std::pair<std::uint32_t, base::Bytes> Peer::take_message() {
  const base::Bytes answer = child_.channel().receive();
  base::Reader reader(answer);
  const std::uint32_t id = reader.u32().value();
  return {id, rest_of(reader)};
}

}  // namespace nixl_connect::paths::ucx::testing
