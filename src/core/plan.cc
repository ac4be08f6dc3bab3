// SPDX-License-Identifier: Apache-2.0
#include "core/plan.h"

#include <algorithm>

namespace nixl_connect::core {
namespace {

// What stands against every path of one host.
Obstacle obstacle_of_host(const Facts& facts) {
  if (!facts.is_ours) return Obstacle::kGenuine;
  if (facts.where == Facts::Where::kElsewhere) return Obstacle::kAnotherHost;
  if (facts.is_host_forbidden) return Obstacle::kHostForbidden;
  return Obstacle::kNone;
}

bool is_of_another_user(const Facts& facts) {
  return facts.where == Facts::Where::kThisHost && !facts.is_same_user;
}

// Why the peer's process, or what it tells, is not to be seen.
Obstacle obstacle_of_reach(const Facts& facts, Obstacle otherwise) {
  if (facts.where != Facts::Where::kThisHost) return Obstacle::kUnreachable;
  if (is_of_another_user(facts)) return Obstacle::kAnotherUser;
  if (!facts.is_same_pid_namespace) return Obstacle::kAnotherPidNamespace;
  if (!facts.is_same_network) return Obstacle::kAnotherNetwork;
  return otherwise;
}

Obstacle obstacle_of_local(const Facts& facts) {
  if (facts.where != Facts::Where::kThisProcess) return Obstacle::kAnotherProcess;
  return facts.is_exposed_here ? Obstacle::kNone : Obstacle::kNotExposed;
}

Obstacle obstacle_of_end(const Facts& facts) {
  return facts.is_write_unwatched ? Obstacle::kUnwatched : Obstacle::kNone;
}

Obstacle obstacle_of_map(const Facts& facts) {
  // Whatever memory it exposes.
  if (!facts.are_leases_seen && is_of_another_user(facts))
    return Obstacle::kAnotherUser;
  if (facts.exported == Facts::Exported::kNone) return Obstacle::kNotAllocated;
  if (facts.exported == Facts::Exported::kSome) return Obstacle::kPartlyAllocated;
  if (facts.is_map_refused) return obstacle_of_reach(facts, Obstacle::kMapRefused);
  if (!facts.are_leases_seen) return obstacle_of_reach(facts, Obstacle::kLeasesHidden);
  return obstacle_of_end(facts);
}

Obstacle obstacle_of_cma(const Facts& facts) {
  if (!facts.is_process_known) return obstacle_of_reach(facts, Obstacle::kUnreachable);
  return facts.is_cma_refused ? Obstacle::kNotPermitted : obstacle_of_end(facts);
}

Obstacle obstacle_of(Path path, const Facts& facts) {
  if (path == Path::kUcx) return Obstacle::kNone;
  if (const Obstacle of_host = obstacle_of_host(facts); of_host != Obstacle::kNone)
    return of_host;
  switch (path) {
    case Path::kLocal:
      return obstacle_of_local(facts);
    case Path::kHostMap:
      return obstacle_of_map(facts);
    default:
      return obstacle_of_cma(facts);
  }
}

Obstacle obstacle_of(Path path, const PathRules& rules, const Prediction& prediction) {
  if (rules.forbidden.has(path)) return Obstacle::kForbidden;
  if (!rules.required.is_empty() && !rules.required.has(path))
    return Obstacle::kNotRequired;
  if (!rules.ordered.empty() && std::find(rules.ordered.begin(), rules.ordered.end(),
                                          path) == rules.ordered.end())
    return Obstacle::kNotNamed;
  if (prediction.gbps > 0 && prediction.gbps < rules.min_gbps)
    return Obstacle::kTooSlow;
  return Obstacle::kNone;
}

}  // namespace

Choice choose(const Work& work, const Facts& facts, const PathRules& rules,
              const Costs& costs) {
  Choice choice;
  choice.bytes = work.bytes;
  choice.ranges = work.ranges;
  choice.cma_refusal = facts.cma_refusal;
  choice.is_neighbour = facts.is_ours && (facts.where == Facts::Where::kThisProcess ||
                                          facts.where == Facts::Where::kThisHost);
  for (const Path path : kAllPaths) {
    Verdict& verdict = choice.verdicts[index_of(path)];
    verdict.prediction = predict(work, costs.of(path));
    verdict.obstacle = obstacle_of(path, facts);
    // What cannot be is said before what is not wanted.
    if (verdict.obstacle == Obstacle::kNone)
      verdict.obstacle = obstacle_of(path, rules, verdict.prediction);
  }
  const auto verdict = [&](Path path) -> const Verdict& {
    return choice.verdicts[index_of(path)];
  };
  const auto is_usable = [&](Path path) {
    return verdict(path).obstacle == Obstacle::kNone;
  };
  if (!rules.ordered.empty()) {
    const auto first =
        std::find_if(rules.ordered.begin(), rules.ordered.end(), is_usable);
    if (first != rules.ordered.end()) choice.path = *first;
    return choice;
  }
  for (const Path path : kAllPaths)
    if (is_usable(path) && (!choice.path || verdict(path).prediction.time <
                                                verdict(*choice.path).prediction.time))
      choice.path = path;
  return choice;
}

bool is_of_options(Obstacle obstacle) {
  return obstacle == Obstacle::kForbidden || obstacle == Obstacle::kNotRequired ||
         obstacle == Obstacle::kNotNamed || obstacle == Obstacle::kTooSlow ||
         obstacle == Obstacle::kHostForbidden;
}

bool is_only_ucx_left(const Choice& choice, const PathRules& rules) {
  if (!choice.is_neighbour || choice.path != Path::kUcx || !rules.required.is_empty() ||
      !rules.ordered.empty())
    return false;
  bool is_asked_for = true;
  for (const Path path : kAllPaths) {
    if (path == Path::kUcx) continue;
    const Obstacle obstacle = choice.verdicts[index_of(path)].obstacle;
    if (obstacle == Obstacle::kNone) return false;
    // A peer in another process is never in this one: no answer to what was asked.
    is_asked_for = is_asked_for &&
                   (is_of_options(obstacle) || obstacle == Obstacle::kAnotherProcess);
  }
  return !is_asked_for;
}

}  // namespace nixl_connect::core
