// SPDX-License-Identifier: Apache-2.0
#include "core/plan.h"

#include <algorithm>
#include <utility>

namespace nixl_connect::core {
namespace {

using Memory = Facts::Memory;

bool is_all(Memory memory, const Facts& facts) {
  return facts.local_memory == memory && facts.remote_memory == memory;
}

// What stands against the paths for host memory, whoever the peer is.
Obstacle obstacle_of_gpu_memory(const Facts& facts) {
  if (is_all(Memory::kHost, facts)) return Obstacle::kNone;
  return is_all(Memory::kGpu, facts) ? Obstacle::kGpuMemory : Obstacle::kSomeGpuMemory;
}

// And against those for memory of GPUs.
Obstacle obstacle_of_host_memory(const Facts& facts) {
  if (is_all(Memory::kGpu, facts)) return Obstacle::kNone;
  return is_all(Memory::kHost, facts) ? Obstacle::kHostMemory
                                      : Obstacle::kSomeHostMemory;
}

// And against that between the two.
Obstacle obstacle_of_same_memory(const Facts& facts) {
  if (is_all(Memory::kHost, facts)) return Obstacle::kHostMemory;
  if (is_all(Memory::kGpu, facts)) return Obstacle::kGpuMemory;
  return facts.local_memory == Memory::kMixed || facts.remote_memory == Memory::kMixed
             ? Obstacle::kMixedMemory
             : Obstacle::kNone;
}

Obstacle obstacle_of_ucx(const Facts& facts) {
  if (is_all(Memory::kHost, facts)) return Obstacle::kNone;
  if (!facts.gpus.are_known_to_ucx) return Obstacle::kUnknownToUcx;
  if (!facts.is_ours) return Obstacle::kNone;
  // Each kind is of another worker of the peer's.
  if (facts.remote_memory == Memory::kMixed) return Obstacle::kMixedMemory;
  return facts.gpus.are_known_to_peers_ucx ? Obstacle::kNone
                                           : Obstacle::kUnknownToPeersUcx;
}

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

// Of paths whose reads look at the lease in the mapped table.
Obstacle obstacle_of_leases(const Facts& facts) {
  if (!facts.are_leases_seen) return obstacle_of_reach(facts, Obstacle::kLeasesHidden);
  return obstacle_of_end(facts);
}

Obstacle obstacle_of_map(const Facts& facts) {
  // Whatever memory it exposes.
  if (!facts.are_leases_seen && is_of_another_user(facts))
    return Obstacle::kAnotherUser;
  if (facts.exported == Facts::Exported::kNone) return Obstacle::kNotAllocated;
  if (facts.exported == Facts::Exported::kSome) return Obstacle::kPartlyAllocated;
  if (facts.is_map_refused) return obstacle_of_reach(facts, Obstacle::kMapRefused);
  return obstacle_of_leases(facts);
}

Obstacle obstacle_of_cma(const Facts& facts) {
  if (!facts.is_process_known) return obstacle_of_reach(facts, Obstacle::kUnreachable);
  return facts.is_cma_refused ? Obstacle::kNotPermitted : obstacle_of_end(facts);
}

// Of memory that the peer has to hand over. Another pid namespace does not matter.
Obstacle obstacle_of_files(const Facts& facts) {
  if (!facts.gpus.are_files_hidden) return Obstacle::kNone;
  if (facts.where != Facts::Where::kThisHost) return Obstacle::kUnreachable;
  if (is_of_another_user(facts)) return Obstacle::kAnotherUser;
  return facts.is_same_network ? Obstacle::kFilesHidden : Obstacle::kAnotherNetwork;
}

// That of GPUs which another process has.
Obstacle obstacle_of_export(const Facts& facts) {
  if (facts.gpus.exported == Facts::Exported::kNone) return Obstacle::kNotExported;
  if (facts.gpus.exported == Facts::Exported::kSome) return Obstacle::kPartlyExported;
  return obstacle_of_files(facts);
}

// Memory of this process is there without being opened, as long as it is exposed.
Obstacle obstacle_of_peer(const Facts& facts) {
  const Facts::Gpus& gpus = facts.gpus;
  if (!gpus.has_driver) return Obstacle::kNoDriver;
  if (!gpus.are_in_reach) return Obstacle::kOutOfReach;
  if (gpus.is_open_refused) return Obstacle::kOpenRefused;
  if (facts.where == Facts::Where::kThisProcess)
    return facts.is_exposed_here ? Obstacle::kNone : Obstacle::kNotExposed;
  if (!facts.are_leases_seen && is_of_another_user(facts))
    return Obstacle::kAnotherUser;
  const Obstacle of_export = obstacle_of_export(facts);
  return of_export == Obstacle::kNone ? obstacle_of_leases(facts) : of_export;
}

// The host's memory, on whichever side it is, was given by Connector::allocate().
bool is_allocated(const Facts& facts) {
  return facts.remote_memory == Memory::kHost ? facts.exported == Facts::Exported::kAll
                                              : facts.is_local_allocated;
}

// So GPUs reach it as a whole.
bool is_pinned(const Facts& facts) {
  return is_allocated(facts) && !facts.gpus.is_staging_refused;
}

// If it is not, the bytes go through slots that are. Then memory of this process can be
// any, and that of another one has to be within reach of system calls.
bool is_by_system_calls(const Facts& facts) {
  return facts.remote_memory == Memory::kHost &&
         facts.where != Facts::Where::kThisProcess && !is_pinned(facts);
}

Obstacle obstacle_of_system_calls(const Facts& facts) {
  const Obstacle of_cma = obstacle_of_cma(facts);
  return of_cma != Obstacle::kNone && is_allocated(facts) ? Obstacle::kStagingRefused
                                                          : of_cma;
}

// By this process, to or from memory of the host.
Obstacle obstacle_of_own_staging(const Facts& facts) {
  const Facts::Gpus& gpus = facts.gpus;
  if (!gpus.has_driver) return Obstacle::kNoDriver;
  if (!gpus.are_in_reach) return Obstacle::kOutOfReach;
  if (facts.remote_memory == Memory::kGpu && gpus.is_open_refused)
    return Obstacle::kOpenRefused;
  if (facts.where == Facts::Where::kThisProcess)
    return facts.is_exposed_here ? Obstacle::kNone : Obstacle::kNotExposed;
  if (is_by_system_calls(facts)) return obstacle_of_system_calls(facts);
  if (!facts.are_leases_seen && is_of_another_user(facts))
    return Obstacle::kAnotherUser;
  if (facts.remote_memory == Memory::kGpu)
    if (const Obstacle of_export = obstacle_of_export(facts);
        of_export != Obstacle::kNone)
      return of_export;
  return obstacle_of_leases(facts);
}

// The peer does what this process cannot, or its half of that.
bool is_served(const Facts& facts) {
  const Facts::Gpus& gpus = facts.gpus;
  if (!gpus.does_peer_serve || gpus.why_not_served ||
      facts.remote_memory != Memory::kGpu)
    return false;
  if (facts.local_memory == Memory::kGpu)
    return gpus.has_driver && obstacle_of_peer(facts) != Obstacle::kNone;
  return obstacle_of_own_staging(facts) != Obstacle::kNone;
}

// Each process copies between its GPU and memory of the host.
bool is_by_both(const Facts& facts) {
  return is_all(Memory::kGpu, facts) && is_served(facts);
}

Obstacle obstacle_of_staged(const Facts& facts) {
  return is_served(facts) ? Obstacle::kNone : obstacle_of_own_staging(facts);
}

// Of the kinds of memory that it is not for.
Obstacle obstacle_of_memory(Path path, const Facts& facts) {
  switch (path) {
    case Path::kCudaPeer:
      return obstacle_of_host_memory(facts);
    case Path::kCudaStaged:
      return is_by_both(facts) ? Obstacle::kNone : obstacle_of_same_memory(facts);
    default:
      return obstacle_of_gpu_memory(facts);
  }
}

Obstacle obstacle_of(Path path, const Facts& facts) {
  if (path == Path::kUcx) return obstacle_of_ucx(facts);
  const Obstacle of_memory = obstacle_of_memory(path, facts);
  if (of_memory != Obstacle::kNone) return of_memory;
  if (const Obstacle of_host = obstacle_of_host(facts); of_host != Obstacle::kNone)
    return of_host;
  switch (path) {
    case Path::kLocal:
      return obstacle_of_local(facts);
    case Path::kHostMap:
      return obstacle_of_map(facts);
    case Path::kCudaPeer:
      return obstacle_of_peer(facts);
    case Path::kCudaStaged:
      return obstacle_of_staged(facts);
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

Facts::Gpus::Cause cause_of(Obstacle obstacle, const Facts::Gpus& gpus) {
  switch (obstacle) {
    case Obstacle::kNoDriver:
      return gpus.why_no_driver;
    case Obstacle::kNotExported:
    case Obstacle::kPartlyExported:
      return gpus.why_not_exported;
    case Obstacle::kOpenRefused:
      return gpus.why_refused;
    case Obstacle::kStagingRefused:
      return gpus.why_staging_refused;
    case Obstacle::kUnknownToUcx:
      return gpus.why_unknown_to_ucx;
    default:
      return nullptr;
  }
}

// Of H200s on NVLink, as measured with a genuine NIXL agent, whose memory UCX opens.
constexpr PathCosts kUcxBetweenGpus{15'000, 6'000, 377, 377};

// Messages, which the CPU copies to and from the GPU: where one side is the host's, or
// the peer is one of ours.
constexpr PathCosts kUcxThroughTheCpu{50'000, 20'000, 0.5, 0.5};

Prediction prediction_of(Path path, Work work, const Facts& facts, bool may_use_sm,
                         const Costs& costs) {
  const bool is_by_slots =
      path == Path::kCudaStaged && !is_pinned(facts) && !is_by_both(facts);
  PathCosts of_path = is_by_slots ? costs.slots : costs.of(path);
  if (path == Path::kCudaPeer || path == Path::kCudaStaged) {
    // A GPU moves no more with the threads of this process.
    if (!is_by_slots) work.threads = 1;
    if (!may_use_sm || !(facts.gpus.has_kernel || is_served(facts)))
      of_path.range_ns = std::max(of_path.range_ns, costs.engine_range_ns);
  }
  // The figures of the path are of memory of the host.
  if (path == Path::kUcx && !is_all(Memory::kHost, facts))
    of_path = !facts.is_ours && is_all(Memory::kGpu, facts) ? kUcxBetweenGpus
                                                            : kUcxThroughTheCpu;
  return predict(work, of_path);
}

std::optional<Path> best_of(const Choice& choice, const PathRules& rules) {
  const auto verdict = [&](Path path) -> const Verdict& {
    return choice.verdicts[index_of(path)];
  };
  const auto is_usable = [&](Path path) {
    return verdict(path).obstacle == Obstacle::kNone;
  };
  if (!rules.ordered.empty()) {
    const auto first =
        std::find_if(rules.ordered.begin(), rules.ordered.end(), is_usable);
    return first == rules.ordered.end() ? std::nullopt : std::optional(*first);
  }
  std::optional<Path> best;
  for (const Path path : kAllPaths)
    if (is_usable(path) &&
        (!best || verdict(path).prediction.time < verdict(*best).prediction.time))
      best = path;
  return best;
}

}  // namespace

Choice choose(const Work& work, const Facts& facts, const PathRules& rules,
              const Costs& costs) {
  Choice choice;
  choice.bytes = work.bytes;
  choice.ranges = work.ranges;
  choice.cma_refusal = facts.cma_refusal;
  choice.why_not_served = facts.gpus.why_not_served;
  choice.is_neighbour = facts.is_ours && (facts.where == Facts::Where::kThisProcess ||
                                          facts.where == Facts::Where::kThisHost);
  for (const Path path : kAllPaths) {
    Verdict& verdict = choice.verdicts[index_of(path)];
    verdict.prediction = prediction_of(path, work, facts, rules.may_use_sm, costs);
    verdict.obstacle = obstacle_of(path, facts);
    // What cannot be is said before what is not wanted.
    if (verdict.obstacle == Obstacle::kNone)
      verdict.obstacle = obstacle_of(path, rules, verdict.prediction);
  }
  // One of the two is for other memory.
  for (const Path path : {Path::kCudaPeer, Path::kCudaStaged})
    if (auto cause = cause_of(choice.verdicts[index_of(path)].obstacle, facts.gpus))
      choice.gpu_cause = std::move(cause);
  choice.ucx_cause =
      cause_of(choice.verdicts[index_of(Path::kUcx)].obstacle, facts.gpus);
  choice.path = best_of(choice, rules);
  choice.is_served = choice.path == Path::kCudaStaged && is_served(facts);
  return choice;
}

bool is_of_options(Obstacle obstacle) {
  return obstacle == Obstacle::kForbidden || obstacle == Obstacle::kNotRequired ||
         obstacle == Obstacle::kNotNamed || obstacle == Obstacle::kTooSlow ||
         obstacle == Obstacle::kHostForbidden;
}

bool is_of_other_memory(Obstacle obstacle) {
  return obstacle == Obstacle::kGpuMemory || obstacle == Obstacle::kSomeGpuMemory ||
         obstacle == Obstacle::kHostMemory || obstacle == Obstacle::kSomeHostMemory;
}

bool is_exposure_over(const Choice& choice) {
  return std::any_of(
      choice.verdicts.begin(), choice.verdicts.end(),
      [](const Verdict& each) { return each.obstacle == Obstacle::kNotExposed; });
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
    // A peer in another process is never in this one, nor is memory ever of another
    // kind: no answer to what was asked.
    is_asked_for = is_asked_for &&
                   (is_of_options(obstacle) || obstacle == Obstacle::kAnotherProcess ||
                    is_of_other_memory(obstacle));
  }
  return !is_asked_for;
}

}  // namespace nixl_connect::core
