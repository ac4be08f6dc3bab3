// SPDX-License-Identifier: Apache-2.0
#include "runtime/served_operations.h"

namespace nixl_connect::runtime {
namespace {

// Both processes pin one, once. Smaller ones would be slower: each takes the peer and
// back.
constexpr std::size_t kSlotBytes = 16 << 20;
constexpr std::size_t kMostFreeSlots = 4;
constexpr std::size_t kMostRangesOfASlot = 8192;

// The page kernel moves whole lines where both sides of a range lie alike in theirs.
constexpr std::uint64_t kLineBytes = 128;

}  // namespace

std::size_t ServedOperation::most_ranges() const noexcept {
  const std::size_t left = ranges_.size() - next_;
  return takes_slots_ ? std::min(left, kMostRangesOfASlot) : left;
}

ServedPart ServedOperation::next_part(Slot slot) {
  ServedPart part;
  part.slot = std::move(slot);
  ++under_way_;
  if (!takes_slots_) {
    for (const paths::host::Range& each : ranges_) {
      part.ranges.push_back({each.remote, each.local, each.size});
      part.bytes += each.size;
    }
    next_ = ranges_.size();
    return part;
  }
  while (next_ < ranges_.size() && part.ranges.size() < kMostRangesOfASlot) {
    const paths::host::Range& whole = ranges_[next_];
    paths::host::Range rest{whole.local + offset_, whole.remote + offset_,
                            whole.size - offset_};
    const std::uint64_t skipped = (rest.local - part.slot_bytes) % kLineBytes;
    if (part.slot_bytes + skipped >= kSlotBytes) break;
    part.slot_bytes += skipped;
    rest.size = std::min<std::uint64_t>(rest.size, kSlotBytes - part.slot_bytes);
    add_range(rest, part);
    offset_ += rest.size;
    if (offset_ < whole.size) break;
    ++next_;
    offset_ = 0;
  }
  return part;
}

void ServedOperation::add_range(const paths::host::Range& range,
                                ServedPart& part) const {
  const std::uint64_t in_slot =
      reinterpret_cast<std::uintptr_t>(part.slot->data()) + part.slot_bytes;
  part.ranges.push_back({range.remote, in_slot, range.size});
  if (kind_ == OperationKind::kRead)
    part.copied.push_back({in_slot, range.local, range.size});
  else
    part.copied.push_back({range.local, in_slot, range.size});
  part.slot_bytes += range.size;
  part.bytes += range.size;
}

std::optional<core::Failure> ServedOperation::failure() const {
  if (failure_) return failure_;
  if (why_not_)
    return core::Failure{ErrorKind::kUnsupported,
                         "the peer does not move the bytes any more: " + *why_not_};
  if (next_ < ranges_.size()) return core::Failure{ErrorKind::kCancelled, "stopped"};
  return std::nullopt;
}

bool ServedParts::has_room(core::PeerId peer, std::size_t ranges) const noexcept {
  std::size_t count = 0;
  for (const auto& [number, each] : parts_) {
    if (each.peer != peer) continue;
    ++count;
    ranges += each.ranges.size();
  }
  return count < wire::kMaxServedOperations && ranges <= wire::kMaxServedRangesAtOnce;
}

void ServedParts::hold(core::OperationId operation, core::PeerId peer,
                       std::size_t ranges) {
  drop(operation);
  held_.push_back({operation, peer, ranges});
}

std::optional<core::OperationId> ServedParts::take_held(core::PeerId peer) {
  const auto found = std::find_if(held_.begin(), held_.end(), [peer](const Held& each) {
    return each.peer == peer;
  });
  if (found == held_.end() || !has_room(peer, found->ranges)) return std::nullopt;
  const core::OperationId operation = found->operation;
  held_.erase(found);
  return operation;
}

std::vector<core::OperationId> ServedParts::of(core::OperationId operation) const {
  std::vector<core::OperationId> found;
  for (const auto& [number, each] : parts_)
    if (each.operation == operation) found.push_back(number);
  std::sort(found.begin(), found.end());
  return found;
}

Slot ServedParts::take_slot() {
  if (free_slots_.empty())
    return base::ExportedMemory::make(kSlotBytes, /*huge_pages=*/false);
  Slot slot = std::move(free_slots_.back());
  free_slots_.pop_back();
  return slot;
}

void ServedParts::give_back(Slot slot) {
  if (slot != nullptr && free_slots_.size() < kMostFreeSlots)
    free_slots_.push_back(std::move(slot));
}

}  // namespace nixl_connect::runtime
