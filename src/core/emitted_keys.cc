// SPDX-License-Identifier: Apache-2.0
//
// Bodies of EmittedKeys.
#include "core/emitted_keys.h"

namespace nixl_connect::core {

bool EmittedKeys::note(const MemoryRange& range, std::uint64_t key_hash) {
  const auto known = hashes_.find(range);
  if (known != hashes_.end()) return known->second == key_hash;
  if (hashes_.size() >= max_ranges_) return false;
  hashes_.emplace(range, key_hash);
  return true;
}

}  // namespace nixl_connect::core
