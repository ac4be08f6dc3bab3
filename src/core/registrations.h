// SPDX-License-Identifier: Apache-2.0
//
// Which memory is registered, for whom, and when a registration must go. Only the
// bookkeeping: the runtime registers and deregisters, and finds its registrations by
// the numbers given here. Not thread-safe; the runtime holds its lock around each call,
// and around the registering that a call asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "nixl_connect/device.h"

namespace nixl_connect::core {

using RegistrationId = std::uint64_t;  // never 0, never used again

struct MemoryRange {
  std::uintptr_t address = 0;
  std::size_t size = 0;
  Device device;

  bool operator==(const MemoryRange&) const = default;
};

struct MemoryRangeHash {
  std::size_t operator()(const MemoryRange& range) const noexcept;
};

// A registration belongs to a range and the owner of its memory: another owner at the
// same address is other memory. Without references it stays while its owner lives, the
// last used ones of a bounded number; without an owner it goes with its last reference.
class RegistrationTable {
 public:
  using Owner = std::weak_ptr<const void>;  // empty: no owner

  explicit RegistrationTable(std::size_t max_idle = 1024) : max_idle_(max_idle) {}

  struct Acquired {
    RegistrationId id;
    bool is_new;  // to be registered now; if that fails, release_failed()
  };

  // Takes a reference.
  [[nodiscard]] Acquired acquire(const MemoryRange& range, const Owner& owner);

  // Gives a reference back. Returns what is to be deregistered now.
  [[nodiscard]] std::vector<RegistrationId> release(RegistrationId id);

  // Gives the reference back and forgets the entry, which was never registered.
  void release_failed(RegistrationId id);

  // Gives up what has lost its owner, and returns it to be deregistered. Owners die
  // unheard, so call this now and then.
  [[nodiscard]] std::vector<RegistrationId> sweep();

  std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    MemoryRange range;
    Owner owner;
    std::size_t references;
    std::list<RegistrationId>::iterator idle;  // valid while references is 0
  };
  using Entries = std::unordered_map<RegistrationId, Entry>;

  void erase(Entries::iterator at);
  RegistrationId evict(std::list<RegistrationId>::iterator idle);

  const std::size_t max_idle_;
  RegistrationId next_id_ = 1;
  Entries entries_;
  std::unordered_multimap<MemoryRange, RegistrationId, MemoryRangeHash> by_range_;
  std::list<RegistrationId> idle_;  // the longest unused first
};

}  // namespace nixl_connect::core
