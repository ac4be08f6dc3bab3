// SPDX-License-Identifier: Apache-2.0
//
// The scenario of a run: a few processes, a short time of random acts, then everything
// must come to rest.
#include "simulator.h"

#include <memory>

#include "simulation/node.h"
#include "simulation/world.h"

namespace nixl_connect::core::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Time kActing = milliseconds(1);
constexpr Time kLongestDeadline = milliseconds(400);
constexpr Time kLongestRun = seconds(60);
constexpr unsigned kMostEvents = 20'000;

Time choose_deadline(World& world) {
  const Time now = world.events.now();
  if (world.random.chance(2)) return now - Time(1);
  if (!world.random.chance(30)) return kNever;
  return now + world.random.up_to(world.random.chance(50) ? kActing : kLongestDeadline);
}

Node& any_node(World& world) {
  return *world.nodes[world.random.below(world.nodes.size())];
}

void expose(World& world) {
  Node& node = any_node(world);
  if (!node.is_alive()) return;
  const auto kind =
      world.random.chance(60) ? OperationKind::kRead : OperationKind::kWrite;
  const auto readers =
      world.random.chance(70) ? 1U : static_cast<unsigned>(2 + world.random.below(2));
  const bool stays_open = kind == OperationKind::kRead && world.random.chance(30);
  node.expose(kind, readers, choose_deadline(world), stays_open);
}

void begin(World& world) {
  if (world.offers.empty()) return;
  Node& node = any_node(world);
  const std::size_t number = world.random.below(world.offers.size());
  const Offer& offer = world.offers[number];
  const Node& target = *world.nodes[offer.node];
  // Metadata leaves a Connector when its engine knows the operation, except that here a
  // NIXL agent may be faster, for the sake of early notifications.
  const bool is_announced =
      world.nodes[offer.node]->exposed(offer.operation).is_announced;
  if (!node.is_alive() || (node.is_genuine() && target.is_genuine())) return;
  if (!node.is_genuine() && !is_announced) return;
  node.begin(number, choose_deadline(world));
}

void act(World& world) {
  const std::uint64_t dice = world.random.below(100);
  if (dice < 25) {
    expose(world);
  } else if (dice < 75) {
    begin(world);
  } else if (dice < 79) {
    any_node(world).forge_message(world.random.below(world.nodes.size()));
  } else if (dice < 90) {
    any_node(world).cancel_any();
  } else if (dice < 97) {
    world.network.cut_any();
  } else {
    any_node(world).die();
  }
}

void populate(World& world) {
  const std::size_t nodes = 2 + world.random.below(4);
  for (std::size_t i = 0; i < nodes; ++i) {
    const bool is_genuine = i > 0 && world.random.chance(20);
    world.nodes.push_back(std::make_unique<Node>(world, i, is_genuine));
  }
}

void schedule_acts(World& world) {
  world.events.at(Time(0), [&world] { expose(world); });
  world.events.at(Time(0), [&world] { expose(world); });
  for (std::size_t acts = 6 + world.random.below(12); acts > 0; --acts)
    world.events.at(world.random.up_to(kActing), [&world] { act(world); });
  world.events.at(kActing + milliseconds(1), [&world] {
    for (const auto& node : world.nodes) node->cancel_all();
  });
}

void run_to_rest(World& world) {
  for (unsigned events = 0; world.events.run_next(); ++events) {
    if (!world.journal.violations().empty()) return;
    if (events > kMostEvents || world.events.now() > kLongestRun) {
      world.journal.violation("the run does not come to rest");
      return;
    }
  }
  for (const auto& node : world.nodes) node->check_rest();
}

}  // namespace

Coverage& Coverage::operator+=(const Coverage& other) {
  reads_complete += other.reads_complete;
  writes_complete += other.writes_complete;
  readables_complete += other.readables_complete;
  writables_complete += other.writables_complete;
  cancelled += other.cancelled;
  disconnected += other.disconnected;
  timed_out += other.timed_out;
  given_up_by_peer += other.given_up_by_peer;
  stale_reads_refused += other.stale_reads_refused;
  reads_past_finish += other.reads_past_finish;
  peers_dropped += other.peers_dropped;
  lost_before_left += other.lost_before_left;
  begun_on_lost_peer += other.begun_on_lost_peer;
  early_notifications += other.early_notifications;
  peers_killed += other.peers_killed;
  writes_joined += other.writes_joined;
  writes_early += other.writes_early;
  writes_found += other.writes_found;
  stayed_open += other.stayed_open;
  views_joined += other.views_joined;
  views_complete += other.views_complete;
  views_recalled += other.views_recalled;
  views_waited_for += other.views_waited_for;
  views_of_dropped += other.views_of_dropped;
  return *this;
}

Report simulate(std::uint64_t seed, bool is_traced) {
  World world(seed, is_traced);
  populate(world);
  schedule_acts(world);
  run_to_rest(world);
  return {world.journal.violations(), world.journal.lines(), world.journal.coverage};
}

}  // namespace nixl_connect::core::simulation
