// SPDX-License-Identifier: Apache-2.0
//
// Operations of this Connector whose bytes their peers move (wire::Serve), in parts of
// which a peer has not more under way than it takes. For each part an operation that no
// user sees, its exposure, exposes memory of the host to the peer; when that ends, the
// peer is done with the part. Memory of the host is exposed itself, and makes one part.
// That of a GPU is not: the bytes go through slots of the host's memory, from or to
// which the GPU copies them. Used by whoever has the turn.
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
  core::OperationId operation = 0;
  core::PeerId peer = 0;
  std::uint64_t bytes = 0;
  std::vector<wire::ServedRange> ranges;  // for the peer
  Slot slot;                              // null: none is needed
  std::size_t slot_bytes = 0;             // of it
  // Between the slot (source, of a read) and the GPU.
  paths::cuda::KeptPages copied;
  std::shared_ptr<paths::cuda::DeviceCopy> copy;  // while it is under way
  std::shared_ptr<const std::string> why_not;     // null: the peer has not refused it
};

// How far one has come.
class ServedOperation {
 public:
  // `ranges`: none of no bytes.
  ServedOperation(OperationKind kind, paths::host::Ranges ranges, bool takes_slots)
      : kind_(kind), ranges_(std::move(ranges)), takes_slots_(takes_slots) {}

  bool takes_slots() const noexcept { return takes_slots_; }
  // Another part is to begin, if the peer has room for so many ranges.
  bool has_more() const noexcept {
    return next_ < ranges_.size() && !is_stopped_ && !failure_ && !why_not_ &&
           under_way_ < kPartsAtOnce;
  }
  std::size_t most_ranges() const noexcept;
  ServedPart next_part(Slot slot);
  // With the bytes that it has moved.
  void end_part(const ServedPart& part) noexcept {
    --under_way_;
    moved_ += part.bytes;
  }
  // Further parts do not begin.
  void fail(core::Failure failure) {
    if (!failure_) failure_ = std::move(failure);
  }
  void refuse(std::shared_ptr<const std::string> why) { why_not_ = std::move(why); }

  void stop() noexcept { is_stopped_ = true; }
  bool is_over() const noexcept { return under_way_ == 0 && !has_more(); }

  // Since the end. It may be tried another way: the peer does not serve, and nothing
  // else has ended it.
  bool is_refused() const noexcept { return why_not_ && !is_stopped_ && moved_ == 0; }
  const std::shared_ptr<const std::string>& why_not() const noexcept {
    return why_not_;
  }
  std::uint64_t moved() const noexcept { return moved_; }
  // None: all is moved.
  std::optional<core::Failure> failure() const;

 private:
  // One is on its way to or from the slot while the GPU has the other.
  static constexpr unsigned kPartsAtOnce = 2;

  void add_range(const paths::host::Range& range, ServedPart& part) const;

  const OperationKind kind_;
  const paths::host::Ranges ranges_;
  const bool takes_slots_;
  std::size_t next_ = 0;      // of ranges_
  std::uint64_t offset_ = 0;  // in that
  unsigned under_way_ = 0;
  std::uint64_t moved_ = 0;
  bool is_stopped_ = false;
  std::optional<core::Failure> failure_;
  std::shared_ptr<const std::string> why_not_;
};

class ServedParts {
 public:
  // A part's number is that of its exposure, and of the copy between slot and GPU.
  static constexpr bool is_mine(core::OperationId number) noexcept {
    return (number & kMark) != 0;
  }

  // Whether the peer is to be asked for another one, of so many ranges.
  bool has_room(core::PeerId peer, std::size_t ranges) const noexcept;
  // Until take_held(): the operation has parts to begin for which there is no room.
  void hold(core::OperationId operation, core::PeerId peer, std::size_t ranges);
  void drop(core::OperationId operation) noexcept {
    std::erase_if(
        held_, [operation](const Held& each) { return each.operation == operation; });
  }
  // The first one that waits, if the peer has room for it now.
  std::optional<core::OperationId> take_held(core::PeerId peer);

  core::OperationId begin(ServedPart part) {
    parts_.emplace(++last_, std::move(part));
    return last_;
  }
  ServedPart& at(core::OperationId number) { return parts_.at(number); }
  ServedPart* find(core::OperationId number, core::PeerId peer) {
    const auto found = parts_.find(number);
    return found == parts_.end() || found->second.peer != peer ? nullptr
                                                               : &found->second;
  }
  std::vector<core::OperationId> of(core::OperationId operation) const;
  ServedPart end(core::OperationId number) { return parts_.extract(number).mapped(); }

  // Throws Error(kNoResources).
  Slot take_slot();
  void give_back(Slot slot);

 private:
  // Numbers of users' operations never get there; servings.h has another mark.
  static constexpr core::OperationId kMark = core::OperationId{1} << 62;

  struct Held {
    core::OperationId operation;
    core::PeerId peer;
    std::size_t ranges;
  };

  core::OperationId last_ = kMark;
  std::unordered_map<core::OperationId, ServedPart> parts_;
  std::deque<Held> held_;
  std::vector<Slot> free_slots_;
};

}  // namespace nixl_connect::runtime
