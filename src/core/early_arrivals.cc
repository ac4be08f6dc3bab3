// SPDX-License-Identifier: Apache-2.0
//
// Bodies of EarlyArrivals.
#include "core/early_arrivals.h"

#include <utility>

namespace nixl_connect::core {

void EarlyArrivals::add(std::string_view key) {
  if (key.size() > kMaxKeyBytes) return;
  if (const auto known = by_key_.find(key); known != by_key_.end()) {
    ++known->second->count;
    entries_.splice(entries_.end(), entries_, known->second);
    return;
  }
  if (entries_.size() == kMaxKeys) take(entries_.front().key);
  const auto entry = entries_.insert(entries_.end(), Entry{std::string(key), 1});
  by_key_.emplace(entry->key, entry);
}

std::uint32_t EarlyArrivals::take(std::string_view key) {
  const auto known = by_key_.find(key);
  if (known == by_key_.end()) return 0;
  const auto entry = known->second;
  const std::uint32_t count = entry->count;
  by_key_.erase(known);
  entries_.erase(entry);
  return count;
}

}  // namespace nixl_connect::core
