// SPDX-License-Identifier: Apache-2.0
//
// All of a simulated run. Plain data; no threads.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/requests.h"
#include "simulation/event_queue.h"
#include "simulation/journal.h"
#include "simulation/network.h"
#include "simulation/node.h"
#include "simulation/random.h"

namespace nixl_connect::core::simulation {

// What metadata tells: where exposed memory is and how to use it.
struct Offer {
  std::size_t node = 0;
  OperationId operation = 0;
  OperationKind kind = OperationKind::kRead;
  std::size_t cells = 0;
  std::string notification_key;
  std::optional<LeaseKey> lease;
};

struct World {
  World(std::uint64_t seed, bool is_traced)
      : random(seed), journal(is_traced), network(*this) {}

  template <typename... Parts>
  void trace(std::size_t node, const Parts&... parts) {
    journal.trace(events.now().count(), " node ", node, ": ", parts...);
  }
  template <typename... Parts>
  void violation(std::size_t node, const Parts&... parts) {
    journal.violation(events.now().count(), " node ", node, ": ", parts...);
  }

  Random random;
  Journal journal;
  EventQueue events;
  Network network;
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<Offer> offers;
  Cell last_cell = 0;  // every content differs from all others
};

}  // namespace nixl_connect::core::simulation
