// SPDX-License-Identifier: Apache-2.0
//
// What the runtime asks of the core: the operations to run and how. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "core/terms.h"
#include "nixl_connect/metadata.h"
#include "wire/control.h"

namespace nixl_connect::core {

struct Settings {
  Time drain_timeout = std::chrono::milliseconds(200);
};

// Memory exposed to peers.
struct Exposure {
  OperationId operation = 0;
  OperationKind kind = OperationKind::kRead;
  std::string notification_key;
  LeaseId lease = 0;
  std::uint64_t token = 0;
  std::uint32_t readers = 1;
  Time deadline = kNever;  // of the successes that are waited for
  bool stays_open = false;
};

// What an initiating side needs to know of a lease.
struct LeaseKey {
  LeaseId id = 0;
  std::uint64_t token = 0;

  bool operator<(const LeaseKey& other) const {
    return std::tie(id, token) < std::tie(other.id, other.token);
  }
};

// A use of memory that a peer exposed.
struct Transfer {
  OperationId operation = 0;
  PeerId peer = 0;
  wire::AccessKind access = wire::AccessKind::kRead;
  std::string notification_key;   // for a genuine NIXL agent
  std::optional<LeaseKey> lease;  // nothing: of a genuine NIXL agent
  Time deadline = kNever;         // of a view: of its opening
  // Of a write: the peer finds its Attach, if it has arrived there when a lease ends.
  bool may_begin_early = false;
  // Of a view, which moves none: what it tells the peer at its end.
  std::uint64_t bytes = 0;
  std::string path = {};
};

}  // namespace nixl_connect::core
