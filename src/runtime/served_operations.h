// SPDX-License-Identifier: Apache-2.0
//
// Operations of this Connector whose bytes their peers move (wire::Serve). For each, an
// operation that no user sees, its exposure, exposes the memory to the peer; when that
// ends, so does the operation. Those for which the peer has no room wait here. Used by
// whoever has the turn.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/terms.h"
#include "wire/control.h"

namespace nixl_connect::runtime {

class ServedOperations {
 public:
  // The exposure of an operation, and back.
  static constexpr core::OperationId exposure_of(core::OperationId operation) noexcept {
    return operation | kMark;
  }
  static constexpr bool is_exposure(core::OperationId operation) noexcept {
    return (operation & kMark) != 0;
  }
  static constexpr core::OperationId behind(core::OperationId exposure) noexcept {
    return exposure & ~kMark;
  }

  // Whether the peer is to be asked for another one, of so many ranges.
  bool has_room(core::PeerId peer, std::size_t ranges) const noexcept {
    std::size_t operations = 0;
    for (const auto& [operation, each] : begun_) {
      if (each.peer != peer) continue;
      ++operations;
      ranges += each.ranges;
    }
    return operations < wire::kMaxServedOperations &&
           ranges <= wire::kMaxServedRangesAtOnce;
  }
  void hold(core::OperationId operation, core::PeerId peer, std::size_t ranges) {
    held_.push_back({operation, peer, ranges});
  }
  // It waits no more. False if it has not waited.
  bool drop(core::OperationId operation) noexcept {
    return std::erase_if(held_, [operation](const auto& each) {
             return each.operation == operation;
           }) != 0;
  }

  void begin(core::OperationId operation, core::PeerId peer, std::size_t ranges) {
    begun_.try_emplace(operation, Begun{peer, ranges});
  }
  // Both give false if no such operation has begun.
  bool stop(core::OperationId operation) noexcept {
    const auto found = begun_.find(operation);
    if (found == begun_.end()) return false;
    found->second.is_stopped = true;
    return true;
  }
  bool refuse(core::OperationId operation, core::PeerId peer, std::string why) {
    const auto found = begun_.find(operation);
    if (found == begun_.end() || found->second.peer != peer) return false;
    found->second.why_not = std::make_shared<const std::string>(std::move(why));
    return true;
  }

  struct Begun {
    core::PeerId peer = 0;
    std::size_t ranges = 0;
    bool is_stopped = false;
    std::shared_ptr<const std::string> why_not = nullptr;  // null: not refused
  };
  // Of an operation that has begun.
  Begun end(core::OperationId operation) { return begun_.extract(operation).mapped(); }
  // The first one that waits, if the peer has room for it.
  std::optional<core::OperationId> take_held(core::PeerId peer) {
    const auto found =
        std::find_if(held_.begin(), held_.end(),
                     [peer](const Held& each) { return each.peer == peer; });
    if (found == held_.end() || !has_room(peer, found->ranges)) return std::nullopt;
    const core::OperationId operation = found->operation;
    held_.erase(found);
    return operation;
  }

 private:
  // Numbers of users' operations never get there; servings.h has another mark.
  static constexpr core::OperationId kMark = core::OperationId{1} << 62;

  struct Held {
    core::OperationId operation;
    core::PeerId peer;
    std::size_t ranges;
  };

  std::unordered_map<core::OperationId, Begun> begun_;
  std::deque<Held> held_;
};

}  // namespace nixl_connect::runtime
