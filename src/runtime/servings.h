// SPDX-License-Identifier: Apache-2.0
//
// What this Connector moves for peers that cannot do it themselves (wire::Serve), from
// and to memory of GPUs that it exposes to them: each by an operation of its own. Used
// by whoever has the turn.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/terms.h"
#include "nixl_connect/descriptor.h"
#include "runtime/remote_ranges.h"
#include "wire/control.h"

namespace nixl_connect::runtime {

class OperationMemory;
class RemoteAgent;

class Servings {
 public:
  // What was asked for, once the message with the last of its ranges is here. Throws
  // Error(kInvalidArgument) for what makes no sense, Error(kNoResources) for too many
  // at once, and forgets it.
  std::optional<wire::Serve> add(core::PeerId peer, wire::Serve message);
  // What has not come to its last message.
  void forget(core::PeerId peer);

  struct Serving {
    core::PeerId peer = 0;
    core::OperationId asked_as = 0;  // the peer's number
    core::LeaseId lease = 0;         // whose memory it uses
  };
  // The number of the operation that serves.
  core::OperationId begin(const Serving& serving);
  static constexpr bool is_mine(core::OperationId operation) noexcept {
    return (operation & kMark) != 0;
  }
  Serving end(core::OperationId operation) {
    return begun_.extract(operation).mapped();
  }

  std::vector<core::OperationId> on(core::LeaseId lease) const;
  bool use(core::LeaseId lease) const { return !on(lease).empty(); }

 private:
  // No operation of a user has it in its number, and none that a peer serves.
  static constexpr core::OperationId kMark = core::OperationId{1} << 61;

  std::size_t count_of(core::PeerId peer) const;

  core::OperationId last_ = kMark;
  std::map<std::pair<core::PeerId, core::OperationId>, wire::Serve> coming_;
  std::unordered_map<core::OperationId, Serving> begun_;
};

// The ranges of a serving: of the memory that is exposed here, and of the peer's.
struct ServedMemory {
  std::vector<Descriptor> here;
  RemoteRanges there;
};

// Throws Error(kInvalidArgument) for a range that lies outside of either.
ServedMemory served_memory(const wire::Serve& asked, const OperationMemory& exposed,
                           const RemoteAgent& peer);

}  // namespace nixl_connect::runtime
