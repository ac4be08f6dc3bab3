// SPDX-License-Identifier: Apache-2.0
//
// Operations whose bytes are moved by their peers, as these are asked to (wire::Serve):
// on memory that another operation of this Connector, the exposure, exposes for that.
// Used by whoever has the turn.
#pragma once

#include <algorithm>
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

  // Whether the peer takes another one.
  bool has_room(core::PeerId peer) const noexcept {
    const auto count =
        std::count_if(begun_.begin(), begun_.end(),
                      [peer](const auto& each) { return each.second.peer == peer; });
    return static_cast<std::size_t>(count) < wire::kMaxServed;
  }
  void hold(core::OperationId operation, core::PeerId peer) {
    held_.emplace_back(operation, peer);
  }
  // It waits no more. False if it has not waited.
  bool drop(core::OperationId operation) noexcept {
    return std::erase_if(held_, [operation](const auto& each) {
             return each.first == operation;
           }) != 0;
  }

  void begin(core::OperationId operation, core::PeerId peer) {
    begun_.try_emplace(operation, How{peer});
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

  struct How {
    core::PeerId peer = 0;
    bool is_stopped = false;
    std::shared_ptr<const std::string> why_not = nullptr;  // null: not refused
  };
  // Of an operation that has begun.
  How end(core::OperationId operation) { return begun_.extract(operation).mapped(); }
  // One that waited for the end of another one with that peer.
  std::optional<core::OperationId> take_held(core::PeerId peer) {
    const auto found =
        std::find_if(held_.begin(), held_.end(),
                     [peer](const auto& each) { return each.second == peer; });
    if (found == held_.end()) return std::nullopt;
    const core::OperationId operation = found->first;
    held_.erase(found);
    return operation;
  }

 private:
  // No operation of a user has it in its number.
  static constexpr core::OperationId kMark = core::OperationId{1} << 62;

  std::unordered_map<core::OperationId, How> begun_;
  std::deque<std::pair<core::OperationId, core::PeerId>> held_;
};

}  // namespace nixl_connect::runtime
