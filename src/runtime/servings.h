// SPDX-License-Identifier: Apache-2.0
//
// The other side of served_operations.h: what peers ask this Connector to move, from
// and to memory of GPUs that it exposes to them. Each is an operation of its own here,
// which no user sees. Used by whoever has the turn.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/terms.h"
#include "nixl_connect/descriptor.h"
#include "nixl_connect/metadata.h"
#include "runtime/remote_ranges.h"
#include "wire/control.h"

namespace nixl_connect::runtime {

class OperationMemory;
class RemoteAgent;

// What the initiating side of a read exposes is to be written, and the other way round.
constexpr OperationKind opposite_of(OperationKind kind) {
  return kind == OperationKind::kRead ? OperationKind::kWrite : OperationKind::kRead;
}

class Servings {
 public:
  // What is to be served now; nothing if more messages are to come, or others have to
  // end before. Throws Error(kInvalidArgument) for what makes no sense,
  // Error(kNoResources) for too much at once, and forgets it.
  std::optional<wire::Serve> add(core::PeerId peer, wire::Serve message);
  // What waited for others to end, and need not any more.
  using Waiting = std::pair<core::PeerId, wire::Serve>;
  std::optional<Waiting> take_waiting(core::PeerId peer);
  // What has not begun.
  void forget(core::PeerId peer);

  struct Serving {
    core::PeerId peer = 0;
    core::OperationId asked_as = 0;  // the peer's number
    core::LeaseId lease = 0;         // whose memory it uses
  };
  // For the operation that serves.
  core::OperationId next_number() noexcept { return ++last_; }
  static constexpr bool is_mine(core::OperationId operation) noexcept {
    return (operation & kMark) != 0;
  }
  void begin(core::OperationId operation, const Serving& serving) {
    begun_.emplace(operation, serving);
  }
  core::PeerId peer_of(core::OperationId operation) const {
    return begun_.at(operation).peer;
  }
  Serving end(core::OperationId operation) {
    return begun_.extract(operation).mapped();
  }

  std::vector<core::OperationId> on(core::LeaseId lease) const;
  bool are_on(core::LeaseId lease) const { return !on(lease).empty(); }

 private:
  // As that of served_operations.h.
  static constexpr core::OperationId kMark = core::OperationId{1} << 61;

  static auto of_peer(core::PeerId peer) {
    return [peer](const Waiting& each) { return each.first == peer; };
  }
  void check_room(core::PeerId peer) const;
  std::size_t count_begun(core::PeerId peer) const;

  core::OperationId last_ = kMark;
  std::map<std::pair<core::PeerId, core::OperationId>, wire::Serve> coming_;
  std::deque<Waiting> waiting_;
  std::unordered_map<core::OperationId, Serving> begun_;
};

// The ranges of a serving: of the memory that is exposed here, and of the peer's.
struct ServingMemory {
  std::vector<Descriptor> here;
  RemoteRanges there;
};

// Throws Error(kInvalidArgument) for a range that lies outside of either.
ServingMemory memory_of_serving(const wire::Serve& asked,
                                const OperationMemory& exposed,
                                const RemoteAgent& peer);

}  // namespace nixl_connect::runtime
