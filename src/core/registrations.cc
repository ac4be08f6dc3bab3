// SPDX-License-Identifier: Apache-2.0
//
// Bodies of RegistrationTable.
#include "core/registrations.h"

namespace nixl_connect::core {
namespace {

using Owner = RegistrationTable::Owner;

// Compares identities, which stay apart even when both owners are dead: a weak_ptr
// keeps the control block, so a later owner cannot get the same one.
bool is_same(const Owner& a, const Owner& b) {
  return !a.owner_before(b) && !b.owner_before(a);
}

bool is_owned(const Owner& owner) { return !is_same(owner, Owner()); }

}  // namespace

std::size_t MemoryRangeHash::operator()(const MemoryRange& range) const noexcept {
  constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15;
  std::uint64_t hash = range.address * kOdd;
  hash = (hash ^ (hash >> 32) ^ range.size) * kOdd;
  hash ^= static_cast<std::uint64_t>(range.device.kind()) << 32;
  hash ^= static_cast<std::uint64_t>(range.device.id());
  return static_cast<std::size_t>(hash ^ (hash >> 32));
}

RegistrationTable::Acquired RegistrationTable::acquire(const MemoryRange& range,
                                                       const Owner& owner) {
  const auto [first, last] = by_range_.equal_range(range);
  for (auto candidate = first; candidate != last; ++candidate) {
    Entry& entry = entries_.find(candidate->second)->second;
    if (!is_same(entry.owner, owner)) continue;
    if (entry.references++ == 0) idle_.erase(entry.idle);
    return {candidate->second, false};
  }
  const RegistrationId id = next_id_++;
  entries_.emplace(id, Entry{range, owner, 1, idle_.end()});
  by_range_.emplace(range, id);
  return {id, true};
}

std::vector<RegistrationId> RegistrationTable::release(RegistrationId id) {
  const auto at = entries_.find(id);
  Entry& entry = at->second;
  if (--entry.references > 0) return {};
  if (!is_owned(entry.owner) || entry.owner.expired()) {
    erase(at);
    return {id};
  }
  entry.idle = idle_.insert(idle_.end(), id);
  if (idle_.size() <= max_idle_) return {};
  return {evict(idle_.begin())};
}

void RegistrationTable::release_failed(RegistrationId id) { erase(entries_.find(id)); }

std::vector<RegistrationId> RegistrationTable::sweep() {
  std::vector<RegistrationId> evicted;
  for (auto idle = idle_.begin(); idle != idle_.end();) {
    const auto candidate = idle++;
    if (entries_.find(*candidate)->second.owner.expired())
      evicted.push_back(evict(candidate));
  }
  return evicted;
}

void RegistrationTable::erase(Entries::iterator at) {
  auto [candidate, last] = by_range_.equal_range(at->second.range);
  while (candidate != last && candidate->second != at->first) ++candidate;
  by_range_.erase(candidate);
  entries_.erase(at);
}

RegistrationId RegistrationTable::evict(std::list<RegistrationId>::iterator idle) {
  const RegistrationId id = *idle;
  idle_.erase(idle);
  erase(entries_.find(id));
  return id;
}

}  // namespace nixl_connect::core
