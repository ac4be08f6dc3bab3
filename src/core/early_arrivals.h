// SPDX-License-Identifier: Apache-2.0
//
// Notifications whose operation is not known (yet). Bounded: a peer may send keys that
// nobody will ever ask for. A value of the exposing side's; not thread-safe.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace nixl_connect::core {

class EarlyArrivals {
 public:
  static constexpr std::size_t kMaxKeys = 1024;
  static constexpr std::size_t kMaxKeyBytes = 256;

  // Counts the key, which is now the newest. The oldest goes when there are too many;
  // keys that are too long are dropped.
  void add(std::string_view key);

  // How often the key came; forgets it.
  std::uint32_t take(std::string_view key);

  std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    std::uint32_t count;
  };

  std::list<Entry> entries_;  // oldest first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;
};

}  // namespace nixl_connect::core
