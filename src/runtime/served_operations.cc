// SPDX-License-Identifier: Apache-2.0
#include "runtime/served_operations.h"

#include <algorithm>

#include "nixl_connect/error.h"

namespace nixl_connect::runtime {
namespace {

using Step = ServedPart::Step;

// Of memory that both processes pin. Less would be slower: each part takes a message to
// the peer and one back.
constexpr std::size_t kSlotBytes = 16 << 20;
constexpr std::size_t kMostFreeSlots = 2 * ServedOperation::kPartsAtOnce;
// As many of 2 KiB fill a slot; smaller ones are lists more than bytes.
constexpr std::size_t kMostRangesOfSlot = 8192;

}  // namespace

ServedOperation::ServedOperation(OperationKind kind, core::PeerId peer,
                                 paths::host::Ranges ranges, bool takes_slots)
    : kind_(kind), peer_(peer), ranges_(std::move(ranges)), takes_slots_(takes_slots) {
  for (const paths::host::Range& each : ranges_) bytes_ += each.size;
}

std::size_t ServedOperation::most_ranges() const noexcept {
  return std::min<std::size_t>(
      ranges_.size() - next_,
      takes_slots_ ? kMostRangesOfSlot : std::size_t{wire::kMaxServedRanges});
}

ServedPart ServedOperation::next_part(Slot slot) {
  ServedPart part;
  part.peer = peer_;
  part.slot = std::move(slot);
  part.steps = {Step::kAskPeer};
  if (takes_slots_)
    part.steps.insert(
        kind_ == OperationKind::kRead ? part.steps.begin() : part.steps.end(),
        Step::kCopy);
  ++under_way_;
  for (std::size_t left = most_ranges(); left > 0 && add_range(part); --left) {
  }
  return part;
}

// False: the slot is full.
bool ServedOperation::add_range(ServedPart& part) {
  const paths::host::Range& whole = ranges_[next_];
  const std::uint64_t here = whole.local + offset_;
  const std::uint64_t there = whole.remote + offset_;
  std::uint64_t size = whole.size - offset_;
  std::uint64_t exposed = here;
  if (part.slot) {
    const std::uint64_t at = paths::cuda::place_in_slot(part.slot_bytes, here);
    if (at >= kSlotBytes) return false;
    size = std::min<std::uint64_t>(size, kSlotBytes - at);
    exposed = reinterpret_cast<std::uintptr_t>(part.slot->data()) + at;
    part.copied.push_back(kind_ == OperationKind::kRead
                              ? paths::cuda::Page{exposed, here, size}
                              : paths::cuda::Page{here, exposed, size});
    part.slot_bytes = at + size;
  }
  part.ranges.push_back({there, exposed, size});
  part.bytes += size;
  offset_ += size;
  if (offset_ == whole.size) {
    ++next_;
    offset_ = 0;
  }
  return true;
}

std::optional<core::Failure> ServedOperation::failure() const {
  if (failure_) return failure_;
  if (moved_ < bytes_) return core::Failure{ErrorKind::kCancelled, "stopped"};
  return std::nullopt;
}

void ServedOperations::begin(core::OperationId operation, ServedOperation served) {
  operations_.insert_or_assign(operation, std::move(served));
  begin_parts(operation);
}

bool ServedOperations::is_copying(core::OperationId operation) const {
  return std::any_of(parts_.begin(), parts_.end(), [operation](const auto& each) {
    return each.second.operation == operation && each.second.copy != nullptr;
  });
}

void ServedOperations::stop(core::OperationId operation) {
  operations_.at(operation).stop();
  for (auto& [number, part] : parts_)
    if (part.operation == operation) handlers_.cancel(number, part);
  begin_parts(operation);  // none: it may be over
}

bool ServedOperations::refuse(core::OperationId number, core::PeerId peer,
                              const std::string& why) {
  const auto found = parts_.find(number);
  if (found == parts_.end() || found->second.peer != peer) return false;
  found->second.why_not = std::make_shared<const std::string>(why);
  return true;
}

void ServedOperations::step_ended(core::OperationId number,
                                  std::optional<core::Failure> failure) {
  const core::OperationId operation = parts_.at(number).operation;
  const core::PeerId peer = parts_.at(number).peer;
  go_on(number, std::move(failure));
  if (parts_.contains(number)) return;
  // Those that wait go first, and what has more waits behind them.
  begin_held(peer);
  if (has(operation)) begin_parts(operation);
}

// As many as the peer has room for; ends the operation if that was all.
void ServedOperations::begin_parts(core::OperationId operation) {
  ServedOperation& served = operations_.at(operation);
  std::erase(held_, operation);
  while (served.has_more()) {
    if (!has_room(served.peer(), served.most_ranges())) {
      held_.push_back(operation);
      return;
    }
    if (!begin_part(operation, served)) return;
  }
  if (!served.is_over()) return;
  const ServedOperation ended = std::move(operations_.extract(operation).mapped());
  handlers_.ended(operation, ended);
}

// False: one that is under way is to end before.
bool ServedOperations::begin_part(core::OperationId operation,
                                  ServedOperation& served) {
  Slot slot;
  try {
    if (served.takes_slots()) slot = take_slot(served.peer());
  } catch (const Error& error) {
    if (served.under_way() > 0) return false;
    served.fail({error.kind(), error.what()});
    return true;
  }
  ServedPart part = served.next_part(std::move(slot));
  part.operation = operation;
  parts_.emplace(++last_, std::move(part));
  go_on(last_, std::nullopt);
  return true;
}

// The part's next step, or its end.
void ServedOperations::go_on(core::OperationId number,
                             std::optional<core::Failure> failure) {
  ServedPart& part = parts_.at(number);
  ServedOperation& served = operations_.at(part.operation);
  try {
    if (!failure && !part.steps.empty() && served.goes_on()) {
      const Step step = part.steps.back();
      part.steps.pop_back();
      return step == Step::kAskPeer ? handlers_.ask_peer(number, part)
                                    : handlers_.copy(number, part);
    }
  } catch (const Error& error) {
    failure = {error.kind(), error.what()};
  }
  ServedPart ended = std::move(parts_.extract(number).mapped());
  const bool is_moved = !failure && ended.steps.empty();
  served.end_part(is_moved ? ended.bytes : 0);
  if (ended.why_not)
    served.refuse(ended.why_not);
  else if (failure)
    served.fail(*std::move(failure));
  if (is_moved) handlers_.moved(ended.operation, served.moved());
  give_back(ended.peer, std::move(ended.slot));
}

void ServedOperations::begin_held(core::PeerId peer) {
  const auto is_next = [&](core::OperationId operation) {
    const ServedOperation& served = operations_.at(operation);
    return served.peer() == peer && has_room(peer, served.most_ranges());
  };
  for (auto next = std::find_if(held_.begin(), held_.end(), is_next);
       next != held_.end(); next = std::find_if(held_.begin(), held_.end(), is_next))
    begin_parts(*next);
}

bool ServedOperations::has_room(core::PeerId peer, std::size_t ranges) const noexcept {
  std::size_t count = 0;
  for (const auto& [number, each] : parts_) {
    if (each.peer != peer) continue;
    ++count;
    ranges += each.ranges.size();
  }
  return count < wire::kMaxServedOperations && ranges <= wire::kMaxServedRangesAtOnce;
}

Slot ServedOperations::take_slot(core::PeerId peer) {
  const auto free = free_slots_.find(peer);
  if (free == free_slots_.end() || free->second.empty())
    return base::ExportedMemory::make(kSlotBytes, false);
  Slot slot = std::move(free->second.back());
  free->second.pop_back();
  return slot;
}

void ServedOperations::give_back(core::PeerId peer, Slot slot) {
  if (slot == nullptr || !handlers_.is_here(peer)) return;
  std::vector<Slot>& free = free_slots_[peer];
  if (free.size() < kMostFreeSlots) free.push_back(std::move(slot));
}

}  // namespace nixl_connect::runtime
