// SPDX-License-Identifier: Apache-2.0
//
// The planner where bytes go between the host's memory and that of a GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/plan.h"
#include "core/plan_cases.h"

namespace nixl_connect::core {
namespace {

using enum Obstacle;
using Where = Facts::Where;
using Exported = Facts::Exported;
using Memory = Facts::Memory;

// As neighbour(), whose memory can be mapped; the local memory is of a GPU.
Facts with_host_of_peer() {
  Facts facts = neighbour();
  facts.local_memory = Memory::kGpu;
  facts.gpus.has_driver = true;
  return facts;
}

// The local memory is the host's, of Connector::allocate(). The peer's is of a GPU, and
// can be opened.
Facts with_gpu_of_peer() {
  Facts facts = neighbour();
  facts.remote_memory = Memory::kGpu;
  facts.exported = Exported::kNone;
  facts.is_local_allocated = true;
  facts.gpus.has_driver = true;
  facts.gpus.exported = Exported::kAll;
  return facts;
}

// With what stands against the other paths.
std::array<Obstacle, kPaths> staged_obstacles(Obstacle cuda_staged,
                                              Obstacle ucx = kUnknownToUcx) {
  return {kSomeGpuMemory,  kSomeGpuMemory, kSomeGpuMemory,
          kSomeHostMemory, cuda_staged,    ucx};
}

// Without a word of genuine peers and other hosts, where no path is even for the memory
// that it is for.
const std::vector<Case> kStagedCases{
    {"another process of this host", [](Facts&) {}, staged_obstacles(kNone)},
    {"a UCX that knows GPUs", [](Facts& facts) { facts.gpus.are_known_to_ucx = true; },
     staged_obstacles(kNone, kUnknownToPeersUcx)},
    {"a UCX on both sides that knows GPUs",
     [](Facts& facts) {
       facts.gpus.are_known_to_ucx = facts.gpus.are_known_to_peers_ucx = true;
     },
     staged_obstacles(kNone, kNone)},
    {"this process, where nothing has to be opened",
     [](Facts& facts) {
       facts.where = Where::kThisProcess;
       facts.is_exposed_here = true;
       facts.are_leases_seen = false;
       facts.is_write_unwatched = true;
       facts.gpus.exported = Exported::kNone;
     },
     staged_obstacles(kNone)},
    {"this process, memory that is exposed no more",
     [](Facts& facts) { facts.where = Where::kThisProcess; },
     staged_obstacles(kNotExposed)},
    {"a NIXL agent",
     [](Facts& facts) { facts.is_ours = false; },
     {kSomeGpuMemory, kSomeGpuMemory, kSomeGpuMemory, kSomeHostMemory, kGenuine,
      kUnknownToUcx}},
    {"another host", [](Facts& facts) { facts.where = Where::kElsewhere; },
     staged_obstacles(kAnotherHost)},
    {"all of one host forbidden", [](Facts& facts) { facts.is_host_forbidden = true; },
     staged_obstacles(kHostForbidden)},
    {"no driver", [](Facts& facts) { facts.gpus.has_driver = false; },
     staged_obstacles(kNoDriver)},
    {"memory that was not allocated for this",
     [](Facts& facts) {
       facts.exported = Exported::kNone;
       facts.is_local_allocated = false;
     },
     staged_obstacles(kNone)},
    {"this process, memory that was not allocated for this",
     [](Facts& facts) {
       facts.where = Where::kThisProcess;
       facts.is_exposed_here = true;
       facts.exported = Exported::kNone;
       facts.is_local_allocated = false;
     },
     staged_obstacles(kNone)},
    {"memory that could not be pinned",
     [](Facts& facts) { facts.gpus.is_staging_refused = true; },
     staged_obstacles(kNone)},
    {"lease words out of sight", [](Facts& facts) { facts.are_leases_seen = false; },
     staged_obstacles(kLeasesHidden)},
    {"a write whose end nobody would notice",
     [](Facts& facts) { facts.is_write_unwatched = true; },
     staged_obstacles(kUnwatched)},
    {"no ptrace, which is not needed",
     [](Facts& facts) {
       facts.is_cma_refused = true;
       facts.is_process_known = false;
     },
     staged_obstacles(kNone)},
    {"another user",
     [](Facts& facts) { facts.is_same_user = facts.are_leases_seen = false; },
     staged_obstacles(kAnotherUser)},
    {"another network namespace and no way to the lease words",
     [](Facts& facts) { facts.is_same_network = facts.are_leases_seen = false; },
     staged_obstacles(kAnotherNetwork)},
};

const std::vector<Case> kPeersHostCases{
    {"some memory that was not allocated for this",
     [](Facts& facts) { facts.exported = Exported::kSome; }, staged_obstacles(kNone)},
    {"plain memory and no ptrace",
     [](Facts& facts) {
       facts.exported = Exported::kNone;
       facts.is_cma_refused = true;
     },
     staged_obstacles(kNotPermitted)},
    {"plain memory of a process that nobody knows",
     [](Facts& facts) {
       facts.exported = Exported::kNone;
       facts.is_process_known = false;
     },
     staged_obstacles(kUnreachable)},
    {"plain memory and lease words out of sight, which the system calls see",
     [](Facts& facts) {
       facts.exported = Exported::kNone;
       facts.are_leases_seen = false;
     },
     staged_obstacles(kNone)},
    {"plain memory and a write whose end nobody would notice",
     [](Facts& facts) {
       facts.exported = Exported::kNone;
       facts.is_write_unwatched = true;
     },
     staged_obstacles(kUnwatched)},
    {"memory that could not be pinned, and no ptrace",
     [](Facts& facts) { facts.gpus.is_staging_refused = facts.is_cma_refused = true; },
     staged_obstacles(kStagingRefused)},
    {"the own memory, which says nothing of the peer's",
     [](Facts& facts) {
       facts.exported = Exported::kNone;
       facts.is_local_allocated = true;
       facts.is_cma_refused = true;
     },
     staged_obstacles(kNotPermitted)},
    {"memory of both kinds",
     [](Facts& facts) { facts.remote_memory = Memory::kMixed; },
     {kSomeGpuMemory, kSomeGpuMemory, kSomeGpuMemory, kSomeHostMemory, kMixedMemory,
      kUnknownToUcx}},
};

const std::vector<Case> kPeersGpuCases{
    {"own memory of any kind, for which the kernel is not asked",
     [](Facts& facts) {
       facts.is_local_allocated = false;
       facts.is_cma_refused = true;
     },
     staged_obstacles(kNone)},
    {"own memory of any kind and lease words out of sight",
     [](Facts& facts) { facts.is_local_allocated = facts.are_leases_seen = false; },
     staged_obstacles(kLeasesHidden)},
    {"GPUs that do not reach each other",
     [](Facts& facts) { facts.gpus.are_in_reach = false; },
     staged_obstacles(kOutOfReach)},
    {"memory that cannot be opened",
     [](Facts& facts) { facts.gpus.exported = Exported::kNone; },
     staged_obstacles(kNotExported)},
    {"some memory that cannot be opened",
     [](Facts& facts) { facts.gpus.exported = Exported::kSome; },
     staged_obstacles(kPartlyExported)},
    {"memory of a GPU that could not be opened",
     [](Facts& facts) { facts.gpus.is_open_refused = true; },
     staged_obstacles(kOpenRefused)},
    {"files of a GPU's memory that nobody could be asked for",
     [](Facts& facts) { facts.gpus.are_files_hidden = true; },
     staged_obstacles(kFilesHidden)},
    {"files of a GPU's memory, of another user",
     [](Facts& facts) {
       facts.gpus.are_files_hidden = true;
       facts.is_same_user = false;
     },
     staged_obstacles(kAnotherUser)},
};

// Who offers to move the bytes, to a process that cannot.
Facts with_servant() {
  Facts facts = with_gpu_of_peer();
  facts.gpus.does_peer_serve = true;
  facts.gpus.has_driver = false;
  return facts;
}

const std::vector<Case> kServedCases{
    {"no driver", [](Facts&) {}, staged_obstacles(kNone)},
    {"no driver, and what the peer need not show",
     [](Facts& facts) {
       facts.are_leases_seen = false;
       facts.is_local_allocated = false;
       facts.gpus.exported = Exported::kNone;
     },
     staged_obstacles(kNone)},
    {"memory that cannot be opened",
     [](Facts& facts) {
       facts.gpus.has_driver = true;
       facts.gpus.exported = Exported::kNone;
     },
     staged_obstacles(kNone)},
    {"all of one host forbidden", [](Facts& facts) { facts.is_host_forbidden = true; },
     staged_obstacles(kHostForbidden)},
    {"another host", [](Facts& facts) { facts.where = Where::kElsewhere; },
     staged_obstacles(kAnotherHost)},
    {"memory of GPUs on both sides",
     [](Facts& facts) { facts.local_memory = Memory::kGpu; },
     {kGpuMemory, kGpuMemory, kGpuMemory, kNoDriver, kGpuMemory, kUnknownToUcx}},
};

TEST(StagedPlan, LeavesToThePeerWhatThisProcessCannot) {
  expect_obstacles(with_servant(), kServedCases);
  Facts facts = with_servant();
  EXPECT_TRUE(choose({}, facts, {}, {}).is_served);
  facts.gpus.has_driver = true;
  EXPECT_FALSE(choose({}, facts, {}, {}).is_served);
  facts = with_servant();
  facts.gpus.are_known_to_ucx = facts.gpus.are_known_to_peers_ucx = true;
  PathRules rules;
  rules.forbidden.add(Path::kCudaStaged);
  EXPECT_EQ(choose({}, facts, rules, {}).path, Path::kUcx);
  EXPECT_FALSE(choose({}, facts, rules, {}).is_served);
}

const std::vector<Case> kSlotCases{
    {"memory that cannot be opened",
     [](Facts& facts) { facts.gpus.exported = Exported::kNone; },
     {kGpuMemory, kGpuMemory, kGpuMemory, kNotExported, kNone, kUnknownToUcx}},
    {"some memory that cannot be opened",
     [](Facts& facts) { facts.gpus.exported = Exported::kSome; },
     {kGpuMemory, kGpuMemory, kGpuMemory, kPartlyExported, kNone, kUnknownToUcx}},
    {"GPUs that do not reach each other",
     [](Facts& facts) { facts.gpus.are_in_reach = false; },
     {kGpuMemory, kGpuMemory, kGpuMemory, kOutOfReach, kNone, kUnknownToUcx}},
    {"memory that could not be opened",
     [](Facts& facts) { facts.gpus.is_open_refused = true; },
     {kGpuMemory, kGpuMemory, kGpuMemory, kOpenRefused, kNone, kUnknownToUcx}},
    {"lease words out of sight",
     [](Facts& facts) { facts.are_leases_seen = false; },
     {kGpuMemory, kGpuMemory, kGpuMemory, kLeasesHidden, kNone, kUnknownToUcx}},
    {"memory that can be opened",
     [](Facts&) {},
     {kGpuMemory, kGpuMemory, kGpuMemory, kNone, kGpuMemory, kUnknownToUcx}},
    {"no driver here",
     [](Facts& facts) { facts.gpus.has_driver = false; },
     {kGpuMemory, kGpuMemory, kGpuMemory, kNoDriver, kGpuMemory, kUnknownToUcx}},
    {"a peer that does not serve",
     [](Facts& facts) {
       facts.gpus.exported = Exported::kNone;
       facts.gpus.does_peer_serve = false;
     },
     {kGpuMemory, kGpuMemory, kGpuMemory, kNotExported, kGpuMemory, kUnknownToUcx}},
};

TEST(StagedPlan, TakesSlotsOfBothBetweenGpusThatDoNotReachEachOther) {
  Facts facts = with_servant();
  facts.gpus.has_driver = true;
  facts.local_memory = Memory::kGpu;
  expect_obstacles(facts, kSlotCases);
  facts.gpus.exported = Exported::kNone;
  facts.gpus.why_not_exported = std::make_shared<const std::string>("of a pool");
  const Choice choice = choose({}, facts, {}, {});
  EXPECT_TRUE(choice.is_served);
  for (const PathEstimate& each : to_plan(choice, {}).paths)
    EXPECT_EQ(each.is_usable(), each.path == "cuda.staged") << each.obstacle;
}

TEST(StagedPlan, SaysWhyThePeerDoesNotMoveTheBytes) {
  Facts facts = with_servant();
  facts.gpus.why_not_served = std::make_shared<const std::string>("it is tired");
  const std::string text = why_none(to_plan(choose({}, facts, {}, {}), {}));
  EXPECT_NE(text.find("cuda.staged: no CUDA driver; nor with the peer's help: "
                      "it is tired"),
            std::string::npos)
      << text;
}

TEST(StagedPlan, SaysWhatStandsAgainstEachPath) {
  expect_obstacles(with_host_of_peer(), kStagedCases);
  expect_obstacles(with_gpu_of_peer(), kStagedCases);
  expect_obstacles(with_host_of_peer(), kPeersHostCases);
  expect_obstacles(with_gpu_of_peer(), kPeersGpuCases);
}

TEST(StagedPlan, HasWordsForEachObstacle) {
  for (const auto* const cases : {&kStagedCases, &kPeersHostCases, &kPeersGpuCases}) {
    for (const Case& each : *cases) {
      Facts facts = cases == &kPeersGpuCases ? with_gpu_of_peer() : with_host_of_peer();
      each.change(facts);
      const Plan plan = to_plan(choose(kLarge, facts, {}, {}), {});
      const auto staged =
          std::find_if(plan.paths.begin(), plan.paths.end(),
                       [](const auto& one) { return one.path == "cuda.staged"; });
      ASSERT_NE(staged, plan.paths.end()) << each.name;
      EXPECT_EQ(staged->is_usable(),
                each.obstacles[index_of(Path::kCudaStaged)] == kNone)
          << each.name;
    }
  }
}

TEST(StagedPlan, IsTakenForWhatItIsFor) {
  for (const Facts& usual : {with_host_of_peer(), with_gpu_of_peer()}) {
    for (const Work& work : {kSmall, kLarge, kScattered}) {
      Facts facts = usual;
      facts.gpus.are_known_to_ucx = true;
      EXPECT_EQ(choose(work, facts, {}, {}).path, Path::kCudaStaged);
      facts.gpus.are_in_reach = false;
      EXPECT_EQ(choose(work, facts, {}, {}).path, std::nullopt);
    }
  }
}

TEST(StagedPlan, IsPredictedWhateverTheThreadsIfTheyDoNotCopy) {
  const auto time = [](unsigned threads, Exported exported) {
    Work work = kLarge;
    work.threads = threads;
    Facts facts = with_host_of_peer();
    facts.exported = exported;
    const Choice choice = choose(work, facts, {}, {});
    return choice.verdicts[index_of(Path::kCudaStaged)].prediction.time;
  };
  EXPECT_EQ(time(1, Exported::kAll), time(8, Exported::kAll));
  EXPECT_LT(time(8, Exported::kAll), time(8, Exported::kNone));
  EXPECT_LT(time(8, Exported::kNone), time(1, Exported::kNone));
}

TEST(StagedPlan, IsPredictedByCopyEnginesWhereNoKernelCopies) {
  const auto time = [](bool has_kernel, bool may_use_sm) {
    Facts facts = with_host_of_peer();
    facts.gpus.has_kernel = has_kernel;
    PathRules rules;
    rules.may_use_sm = may_use_sm;
    const Choice choice = choose(kScattered, facts, rules, {});
    return choice.verdicts[index_of(Path::kCudaStaged)].prediction.time;
  };
  EXPECT_GT(time(false, true), 5 * time(true, true));
  EXPECT_EQ(time(false, true), time(true, false));
}

TEST(StagedPlan, TellsWhyAGpuIsNotReachedOrMemoryNotPinned) {
  const auto told = [](const auto& change) {
    Facts facts = with_gpu_of_peer();
    change(facts.gpus);
    if (facts.gpus.is_staging_refused) {
      facts.remote_memory = Memory::kHost;
      facts.local_memory = Memory::kGpu;
      facts.exported = Exported::kAll;
      facts.is_cma_refused = true;
    }
    return why_none(to_plan(choose(kLarge, facts, {}, {}), {}));
  };
  const auto cause = std::make_shared<const std::string>("it is out of memory");
  for (const auto& [text, words] :
       {std::pair{told([&](Facts::Gpus& gpus) {
                    gpus.has_driver = false;
                    gpus.why_no_driver = cause;
                  }),
                  "cuda.staged: it is out of memory ("},
        std::pair{told([&](Facts::Gpus& gpus) {
                    gpus.exported = Exported::kNone;
                    gpus.why_not_exported = cause;
                  }),
                  "cannot be opened by other processes: it is out of memory"},
        std::pair{told([&](Facts::Gpus& gpus) {
                    gpus.is_staging_refused = true;
                    gpus.why_staging_refused = cause;
                    gpus.why_refused = std::make_shared<const std::string>("other");
                  }),
                  "pinned for the GPU: it is out of memory ("}}) {
    EXPECT_NE(text.find(words), std::string::npos) << text;
    EXPECT_EQ(text.find("cuda.peer"), std::string::npos) << text;
  }
}

TEST(StagedPlan, IsNoAnswerToOptionsThatForbidIt) {
  Facts facts = with_host_of_peer();
  facts.gpus.are_known_to_ucx = true;
  PathRules rules;
  rules.forbidden.add(Path::kCudaStaged);
  EXPECT_FALSE(is_only_ucx_left(choose(kLarge, facts, rules, {}), rules));
  EXPECT_EQ(choose(kLarge, facts, rules, {}).path, std::nullopt);
}

}  // namespace
}  // namespace nixl_connect::core
