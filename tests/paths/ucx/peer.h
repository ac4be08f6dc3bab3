// SPDX-License-Identifier: Apache-2.0
//
// A peer in a process of its own: exposes memory and exchanges messages on the test's
// orders. peer_role.cc is the other end.
#pragma once

#include <cstdint>

#include "paths/ucx/roles.h"

namespace nixl_connect::paths::ucx::testing {

enum class Order : std::uint8_t {
  kExpose,       // u64 size, u64 seed (0: left untouched), u8 is read-only
                 // -> u64 address, packed rkey
  kMatches,      // u64 address, u64 size, u64 seed -> u8
  kSend,         // u32 id, u32 address length, worker address, payload -> nothing
  kNextMessage,  // -> u32 id, payload
};

struct RemoteMemory {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  base::Bytes rkey;
};

class Peer {
 public:
  Peer();

  const base::Bytes& address() const noexcept { return address_; }

  RemoteMemory expose(std::uint64_t size, std::uint64_t seed,
                      bool is_read_only = false);
  // Whether the memory holds what fill() puts there.
  bool matches(const RemoteMemory& memory, std::uint64_t seed);
  // Has the peer send a message to a worker.
  void send(base::BytesView worker_address, std::uint32_t id, base::BytesView payload);
  // Asks for the message that the peer receives next, and takes the answer, which makes
  // the channel readable. A sender progresses in between.
  void want_message();
  std::pair<std::uint32_t, base::Bytes> take_message();

  Child& process() noexcept { return child_; }

 private:
  base::Bytes ask(const base::Writer& order);

  Child child_;
  base::Bytes address_;
};

}  // namespace nixl_connect::paths::ucx::testing
