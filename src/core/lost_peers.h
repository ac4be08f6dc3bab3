// SPDX-License-Identifier: Apache-2.0
//
// The peers lost last, so that a call or message that crossed the loss cannot make an
// operation wait for an answer that never comes. Bounded: older ids are forgotten, long
// after anything of theirs could still be on its way. A value; not thread-safe.
#pragma once

#include <deque>
#include <unordered_set>

#include "core/terms.h"

namespace nixl_connect::core {

class LostPeers {
 public:
  static constexpr std::size_t kMaxPeers = 4096;

  void add(PeerId peer) {
    if (!ids_.insert(peer).second) return;
    order_.push_back(peer);
    if (order_.size() <= kMaxPeers) return;
    ids_.erase(order_.front());
    order_.pop_front();
  }

  bool contains(PeerId peer) const { return ids_.find(peer) != ids_.end(); }

 private:
  std::unordered_set<PeerId> ids_;
  std::deque<PeerId> order_;  // oldest first
};

}  // namespace nixl_connect::core
