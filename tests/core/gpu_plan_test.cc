// SPDX-License-Identifier: Apache-2.0
//
// The planner where memory of GPUs is to be moved: what stands against each path, and
// how that is told.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/plan.h"
#include "core/plan_cases.h"

namespace nixl_connect::core {
namespace {

using enum Obstacle;
using Where = Facts::Where;
using Exported = Facts::Exported;
using Memory = Facts::Memory;

// As neighbour(), but all memory is of GPUs. The peer's can be opened.
Facts gpu_neighbour() {
  Facts facts = neighbour();
  facts.local_memory = facts.remote_memory = Memory::kGpu;
  facts.exported = Exported::kNone;
  facts.gpus.has_driver = facts.gpus.has_kernel = true;
  facts.gpus.exported = Exported::kAll;
  return facts;
}

Facts nixl_agent() {
  Facts facts;
  facts.local_memory = facts.remote_memory = Memory::kGpu;
  facts.gpus.are_known_to_ucx = true;
  return facts;
}

// With what stands against the other paths where the peer is one of ours.
std::array<Obstacle, kPaths> gpu_obstacles(Obstacle cuda_peer,
                                           Obstacle ucx = kUnknownToUcx) {
  return {kGpuMemory, kGpuMemory, kGpuMemory, cuda_peer, kGpuMemory, ucx};
}

// Both sides' UCX.
void know_gpus(Facts& facts) {
  facts.gpus.are_known_to_ucx = facts.gpus.are_known_to_peers_ucx = true;
}

const std::vector<Case> kGpuCases{
    {"another process of this host", [](Facts&) {}, gpu_obstacles(kNone)},
    {"a UCX that knows GPUs", [](Facts& facts) { facts.gpus.are_known_to_ucx = true; },
     gpu_obstacles(kNone, kUnknownToPeersUcx)},
    {"a UCX of the peer's that knows GPUs",
     [](Facts& facts) { facts.gpus.are_known_to_peers_ucx = true; },
     gpu_obstacles(kNone)},
    {"a UCX on both sides that knows GPUs", know_gpus, gpu_obstacles(kNone, kNone)},
    {"another host, and a UCX on both sides that knows GPUs",
     [](Facts& facts) {
       know_gpus(facts);
       facts.where = Where::kElsewhere;
     },
     gpu_obstacles(kAnotherHost, kNone)},
    {"all of one host forbidden, and a UCX on both sides that knows GPUs",
     [](Facts& facts) {
       know_gpus(facts);
       facts.is_host_forbidden = true;
     },
     gpu_obstacles(kHostForbidden, kNone)},
    {"this process, where nothing has to be opened",
     [](Facts& facts) {
       facts.where = Where::kThisProcess;
       facts.is_exposed_here = true;
       facts.are_leases_seen = false;
       facts.is_write_unwatched = true;
       facts.gpus.exported = Exported::kNone;
     },
     gpu_obstacles(kNone)},
    {"this process, memory that is exposed no more",
     [](Facts& facts) { facts.where = Where::kThisProcess; },
     gpu_obstacles(kNotExposed)},
    {"this process, where it failed",
     [](Facts& facts) {
       facts.where = Where::kThisProcess;
       facts.is_exposed_here = facts.gpus.is_open_refused = true;
     },
     gpu_obstacles(kOpenRefused)},
    {"memory of both kinds",
     [](Facts& facts) { facts.local_memory = facts.remote_memory = Memory::kMixed; },
     {kSomeGpuMemory, kSomeGpuMemory, kSomeGpuMemory, kSomeHostMemory, kMixedMemory,
      kUnknownToUcx}},
    {"memory of both kinds, and a UCX on both sides that knows GPUs",
     [](Facts& facts) {
       know_gpus(facts);
       facts.remote_memory = Memory::kMixed;
     },
     {kSomeGpuMemory, kSomeGpuMemory, kSomeGpuMemory, kSomeHostMemory, kMixedMemory,
      kMixedMemory}},
    {"a NIXL agent",
     [](Facts& facts) { facts = nixl_agent(); },
     {kGpuMemory, kGpuMemory, kGpuMemory, kGenuine, kGpuMemory, kNone}},
    {"a NIXL agent, from the host to a GPU",
     [](Facts& facts) {
       facts = nixl_agent();
       facts.local_memory = Memory::kHost;
     },
     {kSomeGpuMemory, kSomeGpuMemory, kSomeGpuMemory, kSomeHostMemory, kGenuine,
      kNone}},
    {"a NIXL agent, from a GPU to memory of both kinds",
     [](Facts& facts) {
       facts = nixl_agent();
       facts.remote_memory = Memory::kMixed;
     },
     {kSomeGpuMemory, kSomeGpuMemory, kSomeGpuMemory, kSomeHostMemory, kMixedMemory,
      kNone}},
    {"a NIXL agent, and a UCX that knows no GPUs",
     [](Facts& facts) {
       facts = nixl_agent();
       facts.gpus.are_known_to_ucx = false;
     },
     {kGpuMemory, kGpuMemory, kGpuMemory, kGenuine, kGpuMemory, kUnknownToUcx}},
    {"another host", [](Facts& facts) { facts.where = Where::kElsewhere; },
     gpu_obstacles(kAnotherHost)},
    {"all of one host forbidden", [](Facts& facts) { facts.is_host_forbidden = true; },
     gpu_obstacles(kHostForbidden)},
    {"no driver", [](Facts& facts) { facts.gpus.has_driver = false; },
     gpu_obstacles(kNoDriver)},
    {"GPUs that do not reach each other",
     [](Facts& facts) { facts.gpus.are_in_reach = false; }, gpu_obstacles(kOutOfReach)},
    {"memory that cannot be opened",
     [](Facts& facts) { facts.gpus.exported = Exported::kNone; },
     gpu_obstacles(kNotExported)},
    {"some memory that cannot be opened",
     [](Facts& facts) { facts.gpus.exported = Exported::kSome; },
     gpu_obstacles(kPartlyExported)},
    {"memory that could not be opened",
     [](Facts& facts) { facts.gpus.is_open_refused = true; },
     gpu_obstacles(kOpenRefused)},
    {"files that nobody could be asked for",
     [](Facts& facts) { facts.gpus.are_files_hidden = true; },
     gpu_obstacles(kFilesHidden)},
    {"files of a write, and no local channel",
     [](Facts& facts) {
       facts.gpus.are_files_hidden = facts.is_write_unwatched = true;
     },
     gpu_obstacles(kFilesHidden)},
    {"files of another user",
     [](Facts& facts) {
       facts.gpus.are_files_hidden = true;
       facts.is_same_user = false;
     },
     gpu_obstacles(kAnotherUser)},
    {"files in another network namespace",
     [](Facts& facts) {
       facts.gpus.are_files_hidden = true;
       facts.is_same_network = facts.is_same_pid_namespace = false;
     },
     gpu_obstacles(kAnotherNetwork)},
    {"files of a process that is not to be seen",
     [](Facts& facts) {
       facts.gpus.are_files_hidden = true;
       facts.where = Where::kUnknown;
     },
     gpu_obstacles(kUnreachable)},
    {"files in another pid namespace, which the local channel reaches into",
     [](Facts& facts) { facts.is_same_pid_namespace = false; }, gpu_obstacles(kNone)},
    {"lease words out of sight", [](Facts& facts) { facts.are_leases_seen = false; },
     gpu_obstacles(kLeasesHidden)},
    {"a write whose end nobody would notice",
     [](Facts& facts) { facts.is_write_unwatched = true; }, gpu_obstacles(kUnwatched)},
    {"no ptrace, which is not needed",
     [](Facts& facts) {
       facts.is_cma_refused = true;
       facts.is_process_known = false;
     },
     gpu_obstacles(kNone)},
    {"another user",
     [](Facts& facts) { facts.is_same_user = facts.are_leases_seen = false; },
     gpu_obstacles(kAnotherUser)},
    {"another user, whom memory that can be opened would not help",
     [](Facts& facts) {
       facts.is_same_user = facts.are_leases_seen = false;
       facts.gpus.exported = Exported::kNone;
     },
     gpu_obstacles(kAnotherUser)},
    {"another network namespace and no way to the lease words",
     [](Facts& facts) { facts.is_same_network = facts.are_leases_seen = false; },
     gpu_obstacles(kAnotherNetwork)},
};

TEST(Planner, SaysWhatStandsAgainstEachPathForMemoryOfGpus) {
  expect_obstacles(gpu_neighbour(), kGpuCases);
}

TEST(Planner, TakesThePathOfGpusForTheirMemoryOnly) {
  for (const Work& work : {kSmall, kLarge, kScattered}) {
    Facts facts = gpu_neighbour();
    know_gpus(facts);
    EXPECT_EQ(choose(work, facts, {}, {}).path, Path::kCudaPeer);
    facts.gpus.are_in_reach = false;
    EXPECT_EQ(choose(work, facts, {}, {}).path, Path::kUcx);
    facts.gpus.are_known_to_ucx = false;
    EXPECT_EQ(choose(work, facts, {}, {}).path, std::nullopt);
  }
}

TEST(Planner, TakesUcxForMemoryOfGpusOnlyIfThePeersKnowsThemToo) {
  for (const Work& work : {kSmall, kLarge, kScattered})
    for (const auto& [local, remote] :
         {std::pair{Memory::kGpu, Memory::kGpu}, std::pair{Memory::kHost, Memory::kGpu},
          std::pair{Memory::kGpu, Memory::kHost}}) {
      Facts facts = gpu_neighbour();
      facts.where = Where::kElsewhere;
      facts.local_memory = local;
      facts.remote_memory = remote;
      know_gpus(facts);
      EXPECT_EQ(choose(work, facts, {}, {}).path, Path::kUcx);
      facts.gpus.are_known_to_peers_ucx = false;
      const Choice choice = choose(work, facts, {}, {});
      EXPECT_EQ(choice.path, std::nullopt);
      const std::string told = why_none(to_plan(choice, {}));
      EXPECT_NE(told.find("ucx: the UCX of the peer's process does not carry memory of "
                          "GPUs (let that process have the driver"),
                std::string::npos)
          << told;
    }
}

TEST(Planner, TakesUcxForMemoryOfGpusOfNixlAgents) {
  for (const Work& work : {kSmall, kLarge, kScattered}) {
    Facts facts = nixl_agent();
    EXPECT_EQ(choose(work, facts, {}, {}).path, Path::kUcx);
    facts.local_memory = Memory::kHost;
    EXPECT_EQ(choose(work, facts, {}, {}).path, Path::kUcx);
    facts.gpus.are_known_to_ucx = false;
    EXPECT_EQ(choose(work, facts, {}, {}).path, std::nullopt);
  }
}

TEST(Planner, PredictsUcxBetweenGpusAndThroughTheCpuApart) {
  const auto predicted = [](Memory local, Memory remote) {
    Facts facts = nixl_agent();
    facts.local_memory = local;
    facts.remote_memory = remote;
    return choose(kLarge, facts, {}, {}).verdicts[index_of(Path::kUcx)].prediction;
  };
  EXPECT_NEAR(predicted(Memory::kGpu, Memory::kGpu).gbps, 377, 1);
  for (const auto& [local, remote] :
       {std::pair{Memory::kHost, Memory::kGpu}, std::pair{Memory::kGpu, Memory::kHost},
        std::pair{Memory::kGpu, Memory::kMixed}})
    EXPECT_NEAR(predicted(local, remote).gbps, 0.5, 0.01);
  Facts ours = gpu_neighbour();
  know_gpus(ours);
  EXPECT_NEAR(
      choose(kLarge, ours, {}, {}).verdicts[index_of(Path::kUcx)].prediction.gbps, 0.5,
      0.01)
      << "its memory is not opened";
  PathRules rules;
  rules.min_gbps = 1;
  Facts facts = nixl_agent();
  EXPECT_EQ(choose(kLarge, facts, rules, {}).path, Path::kUcx);
  facts.local_memory = Memory::kHost;
  EXPECT_EQ(choose(kLarge, facts, rules, {}).verdicts[index_of(Path::kUcx)].obstacle,
            kTooSlow);
}

TEST(Planner, PredictsForGpusWhateverTheThreads) {
  const auto time = [](unsigned threads) {
    Work work = kScattered;
    work.threads = threads;
    const Choice choice = choose(work, gpu_neighbour(), {}, {});
    return choice.verdicts[index_of(Path::kCudaPeer)].prediction.time;
  };
  EXPECT_EQ(time(1), time(8));
}

TEST(Planner, PredictsCopyEnginesWhereNoKernelCopies) {
  struct Case {
    const char* name;
    bool has_kernel;
    bool may_use_sm;
    double range_ns;
  };
  Costs costs;
  costs.engine_range_ns = 5'000;
  costs.paths[index_of(Path::kCudaPeer)] = {10'000, 20, 300, 300};
  for (const Case& each : {Case{"a kernel", true, true, 20},
                           {"a kernel that may not be used", true, false, 5'000},
                           {"none", false, true, 5'000},
                           {"none, which may be used", false, false, 5'000}}) {
    Facts facts = gpu_neighbour();
    facts.gpus.has_kernel = each.has_kernel;
    PathRules rules;
    rules.may_use_sm = each.may_use_sm;
    const Choice choice = choose(kScattered, facts, rules, costs);
    const double ns = 10'000 + 4096 * each.range_ns + 4096 * 4096 / 300.0;
    EXPECT_NEAR(choice.verdicts[index_of(Path::kCudaPeer)].prediction.time.count(), ns,
                1)
        << each.name;
  }
}

std::vector<std::string> names_in(const Plan& plan) {
  std::vector<std::string> names;
  for (const PathEstimate& each : plan.paths) names.push_back(each.path);
  return names;
}

TEST(TextOfAPlan, LeavesOutThePathsForOtherMemory) {
  const Plan of_host = to_plan(choose(kLarge, neighbour(), {}, {}), {});
  EXPECT_EQ(names_in(of_host),
            (std::vector<std::string>{"host.map", "host.cma", "ucx", "local"}));
  const Plan of_gpus = to_plan(choose(kLarge, gpu_neighbour(), {}, {}), {});
  EXPECT_EQ(names_in(of_gpus), (std::vector<std::string>{"cuda.peer", "ucx"}));
  Facts facts = gpu_neighbour();
  facts.local_memory = Memory::kHost;
  const Plan of_both = to_plan(choose(kLarge, facts, {}, {}), {});
  EXPECT_EQ(names_in(of_both), (std::vector<std::string>{"cuda.staged", "ucx"}));
}

TEST(TextOfAPlan, AnswersOptionsThatNameAPathForOtherMemory) {
  PathRules required;
  required.required.add(Path::kCudaPeer);
  const std::string of_host =
      why_none(to_plan(choose(kLarge, neighbour(), required, {}), required));
  EXPECT_NE(of_host.find("cuda.peer: the memory is the host's"), std::string::npos)
      << of_host;
  PathRules ordered;
  ordered.ordered = {Path::kHostCma};
  const std::string of_gpus =
      why_none(to_plan(choose(kLarge, gpu_neighbour(), ordered, {}), ordered));
  EXPECT_NE(of_gpus.find("host.cma: the memory is of a GPU"), std::string::npos)
      << of_gpus;
  EXPECT_EQ(of_gpus.find("host.map"), std::string::npos) << of_gpus;
}

TEST(TextOfAPlan, TellsWhyAGpuIsNotReached) {
  const auto told = [](const auto& change) {
    Facts facts = gpu_neighbour();
    change(facts.gpus);
    return why_none(to_plan(choose(kLarge, facts, {}, {}), {}));
  };
  const auto cause =
      std::make_shared<const std::string>("no CUDA driver: it sees no GPU");
  for (const auto& [text, words] :
       {std::pair{told([&](Facts::Gpus& gpus) {
                    gpus.has_driver = false;
                    gpus.why_no_driver = cause;
                  }),
                  "cuda.peer: no CUDA driver: it sees no GPU ("},
        std::pair{told([](Facts::Gpus& gpus) { gpus.are_files_hidden = true; }),
                  "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:False"},
        std::pair{told([](Facts::Gpus& gpus) { gpus.has_driver = false; }),
                  "cuda.peer: no CUDA driver ("},
        std::pair{told([&](Facts::Gpus& gpus) {
                    gpus.exported = Exported::kNone;
                    gpus.why_not_exported = cause;
                  }),
                  "cannot be opened by other processes: no CUDA driver: it"},
        std::pair{told([&](Facts::Gpus& gpus) {
                    gpus.exported = Exported::kSome;
                    gpus.why_not_exported = cause;
                  }),
                  "some of the peer's memory cannot be opened by other processes: no"},
        std::pair{told([&](Facts::Gpus& gpus) {
                    gpus.is_open_refused = true;
                    gpus.why_refused = cause;
                  }),
                  "could not be opened: no CUDA driver"},
        std::pair{told([&](Facts::Gpus& gpus) {
                    gpus.are_in_reach = false;
                    gpus.why_refused = cause;  // of nothing that stands against it
                  }),
                  "the GPUs do not reach each other (take"}})
    EXPECT_NE(text.find(words), std::string::npos) << text;
}

TEST(TextOfAPlan, TellsWhyUcxKnowsNoGpus) {
  Facts facts = nixl_agent();
  facts.gpus.are_known_to_ucx = false;
  const auto told = [&] {
    return why_none(to_plan(choose(kLarge, facts, {}, {}), {}));
  };
  EXPECT_NE(told().find("ucx: the UCX of this process does not carry memory of GPUs ("),
            std::string::npos)
      << told();
  facts.gpus.why_unknown_to_ucx = std::make_shared<const std::string>("it is old");
  EXPECT_NE(told().find("does not carry memory of GPUs: it is old ("),
            std::string::npos)
      << told();
  EXPECT_EQ(told().find("cuda.peer: it is old"), std::string::npos) << told();
}

TEST(TextOfAPlan, HasWordsForEachObstacleOfGpus) {
  for (const Case& each : kGpuCases) {
    Facts facts = gpu_neighbour();
    each.change(facts);
    PathRules rules;
    rules.ordered.assign(kAllPaths.begin(), kAllPaths.end());
    const Plan plan = to_plan(choose(kLarge, facts, rules, {}), rules);
    ASSERT_EQ(plan.paths.size(), kPaths);
    for (const Path path : kAllPaths) {
      const auto estimate =
          std::find_if(plan.paths.begin(), plan.paths.end(),
                       [&](const auto& one) { return one.path == name_of(path); });
      EXPECT_EQ(estimate->is_usable(), each.obstacles[index_of(path)] == kNone)
          << each.name << ": " << name_of(path);
    }
  }
}

TEST(OnlyUcx, IsLeftForMemoryOfGpusThatCannotBeOpened) {
  Facts facts = gpu_neighbour();
  know_gpus(facts);
  EXPECT_FALSE(is_only_ucx_left(choose(kLarge, facts, {}, {}), {}));
  facts.gpus.exported = Exported::kNone;
  EXPECT_TRUE(is_only_ucx_left(choose(kLarge, facts, {}, {}), {}));
  facts.gpus.are_known_to_ucx = false;
  EXPECT_FALSE(is_only_ucx_left(choose(kLarge, facts, {}, {}), {}));
  EXPECT_FALSE(is_only_ucx_left(choose(kLarge, nixl_agent(), {}, {}), {}));
}

}  // namespace
}  // namespace nixl_connect::core
