// SPDX-License-Identifier: Apache-2.0
//
// Operations of this Connector whose bytes their peers move (wire::Serve), in parts.
// For each part an operation that no user sees, its exposure, exposes memory of the
// host to the peer, until that is done with it. If the operation's memory is a GPU's,
// that is a slot, and a copy between slot and GPU follows or, of a write, goes before.
// Parts for which the peer has no room wait. Used by whoever has the turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/exported_memory.h"
#include "core/outcomes.h"
#include "core/terms.h"
#include "nixl_connect/metadata.h"
#include "paths/cuda/page_shares.h"
#include "paths/host/copy.h"
#include "wire/control.h"

namespace nixl_connect::paths::cuda {
class DeviceCopy;
}

namespace nixl_connect::runtime {

using Slot = std::shared_ptr<base::ExportedMemory>;

// What has begun of an operation.
struct ServedPart {
  enum class Step { kAskPeer, kCopy };

  core::OperationId operation = 0;
  core::PeerId peer = 0;
  std::vector<Step> steps;  // that are left, the next one last
  std::uint64_t bytes = 0;
  std::vector<wire::ServedRange> ranges;  // for the peer
  Slot slot;                              // null: the operation's memory is exposed
  std::size_t slot_bytes = 0;             // of it
  paths::cuda::KeptPages copied;          // between slot and GPU
  std::shared_ptr<paths::cuda::DeviceCopy> copy;  // while it is under way
  // Another way is to be tried, for that reason.
  std::shared_ptr<const std::string> why_not;
};

// How far one has come. A value.
class ServedOperation {
 public:
  // `ranges`: none of no bytes.
  ServedOperation(OperationKind kind, core::PeerId peer, paths::host::Ranges ranges,
                  bool takes_slots);

  core::PeerId peer() const noexcept { return peer_; }
  bool takes_slots() const noexcept { return takes_slots_; }
  unsigned under_way() const noexcept { return under_way_; }

  // Nothing has ended it yet.
  bool goes_on() const noexcept { return !is_stopped_ && !failure_ && !why_not_; }
  // Another part is to begin.
  bool has_more() const noexcept {
    return goes_on() && next_ < ranges_.size() && under_way_ < kPartsAtOnce;
  }
  // Of the next part.
  std::size_t most_ranges() const noexcept;
  ServedPart next_part(Slot slot);
  void end_part(std::uint64_t moved) noexcept {
    --under_way_;
    moved_ += moved;
  }

  // The first of these counts, but that a stopped one is tried no other way.
  void stop() noexcept {
    is_stopped_ = true;
    why_not_.reset();
  }
  void fail(core::Failure failure) {
    if (goes_on()) failure_ = std::move(failure);
  }
  void refuse(std::shared_ptr<const std::string> why) {
    if (goes_on()) why_not_ = std::move(why);
  }

  bool is_over() const noexcept { return under_way_ == 0 && !has_more(); }
  std::uint64_t moved() const noexcept { return moved_; }
  // Since the end: it is to be tried another way, from the beginning; null if not.
  const std::shared_ptr<const std::string>& why_not() const noexcept {
    return why_not_;
  }
  // None: all is moved.
  std::optional<core::Failure> failure() const;

  // So that the peer and the own GPU have one each.
  static constexpr unsigned kPartsAtOnce = 2;

 private:
  bool add_range(ServedPart& part);

  OperationKind kind_;
  core::PeerId peer_;
  paths::host::Ranges ranges_;
  bool takes_slots_;
  std::uint64_t bytes_ = 0;   // of all
  std::size_t next_ = 0;      // of ranges_
  std::uint64_t offset_ = 0;  // in that
  unsigned under_way_ = 0;
  std::uint64_t moved_ = 0;
  bool is_stopped_ = false;
  std::optional<core::Failure> failure_;
  std::shared_ptr<const std::string> why_not_;
};

class ServedOperations {
 public:
  struct Handlers {
    // Begin a step of a part, whose end step_ended() tells; throw Error if it cannot
    // be.
    std::function<void(core::OperationId number, ServedPart&)> ask_peer;
    std::function<void(core::OperationId number, ServedPart&)> copy;
    // The step is to end soon.
    std::function<void(core::OperationId number, ServedPart&)> cancel;
    std::function<void(core::OperationId operation, std::uint64_t bytes)> moved;
    // Nothing of it is under way.
    std::function<void(core::OperationId operation, const ServedOperation&)> ended;
    // It is not lost.
    std::function<bool(core::PeerId)> is_here;
  };

  explicit ServedOperations(Handlers handlers) : handlers_(std::move(handlers)) {}

  // A part's number is that of its exposure, and of the copy between slot and GPU.
  static constexpr bool is_mine(core::OperationId number) noexcept {
    return (number & kMark) != 0;
  }

  void begin(core::OperationId operation, ServedOperation served);
  bool has(core::OperationId operation) const {
    return operations_.contains(operation);
  }
  // A GPU of this process copies for it.
  bool is_copying(core::OperationId operation) const;
  void stop(core::OperationId operation);

  ServedPart& part(core::OperationId number) { return parts_.at(number); }
  // False if no such part has begun with that peer. Its step is still to end.
  bool refuse(core::OperationId number, core::PeerId peer, const std::string& why);
  void step_ended(core::OperationId number, std::optional<core::Failure> failure);

  // It has left: nobody has its slots any more.
  void forget(core::PeerId peer) { free_slots_.erase(peer); }

 private:
  // Numbers of users' operations never get there; servings.h has another mark.
  static constexpr core::OperationId kMark = core::OperationId{1} << 62;

  void begin_parts(core::OperationId operation);
  bool begin_part(core::OperationId operation, ServedOperation& served);
  void go_on(core::OperationId number, std::optional<core::Failure> failure);
  void begin_held(core::PeerId peer);
  bool has_room(core::PeerId peer, std::size_t ranges) const noexcept;
  Slot take_slot(core::PeerId peer);
  void give_back(core::PeerId peer, Slot slot);

  const Handlers handlers_;
  core::OperationId last_ = kMark;
  std::unordered_map<core::OperationId, ServedOperation> operations_;
  std::map<core::OperationId, ServedPart> parts_;
  std::deque<core::OperationId> held_;  // that have more, for which there was no room
  // Each peer may keep its own mapped.
  std::unordered_map<core::PeerId, std::vector<Slot>> free_slots_;
};

}  // namespace nixl_connect::runtime
