// SPDX-License-Identifier: Apache-2.0
//
// The planner, by tables: what is known of a peer, and what stands against each path.
#include "core/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "core/plan_cases.h"
#include "nixl_connect/error.h"

namespace nixl_connect::core {
namespace {

using enum Obstacle;
using Where = Facts::Where;
using Exported = Facts::Exported;

const std::vector<Case> kCases{
    {"another process of this host",
     [](Facts&) {},
     {kAnotherProcess, kNone, kNone, kHostMemory, kHostMemory, kNone}},
    {"this process",
     [](Facts& facts) {
       facts.where = Where::kThisProcess;
       facts.is_exposed_here = true;
     },
     {kNone, kNone, kNone, kHostMemory, kHostMemory, kNone}},
    {"this process, memory that is exposed no more",
     [](Facts& facts) { facts.where = Where::kThisProcess; },
     {kNotExposed, kNone, kNone, kHostMemory, kHostMemory, kNone}},
    {"a NIXL agent",
     [](Facts& facts) { facts = Facts(); },
     {kGenuine, kGenuine, kGenuine, kHostMemory, kHostMemory, kNone}},
    {"another host",
     [](Facts& facts) { facts.where = Where::kElsewhere; },
     {kAnotherHost, kAnotherHost, kAnotherHost, kHostMemory, kHostMemory, kNone}},
    {"all of one host forbidden",
     [](Facts& facts) { facts.is_host_forbidden = true; },
     {kHostForbidden, kHostForbidden, kHostForbidden, kHostMemory, kHostMemory, kNone}},
    {"memory of another kind",
     [](Facts& facts) { facts.exported = Exported::kNone; },
     {kAnotherProcess, kNotAllocated, kNone, kHostMemory, kHostMemory, kNone}},
    {"some memory of another kind",
     [](Facts& facts) { facts.exported = Exported::kSome; },
     {kAnotherProcess, kPartlyAllocated, kNone, kHostMemory, kHostMemory, kNone}},
    {"a map that fails",
     [](Facts& facts) { facts.is_map_refused = true; },
     {kAnotherProcess, kMapRefused, kNone, kHostMemory, kHostMemory, kNone}},
    {"lease words out of sight",
     [](Facts& facts) { facts.are_leases_seen = false; },
     {kAnotherProcess, kLeasesHidden, kNone, kHostMemory, kHostMemory, kNone}},
    {"a write whose end nobody would notice",
     [](Facts& facts) { facts.is_write_unwatched = true; },
     {kAnotherProcess, kUnwatched, kUnwatched, kHostMemory, kHostMemory, kNone}},
    {"no ptrace",
     [](Facts& facts) { facts.is_cma_refused = true; },
     {kAnotherProcess, kNone, kNotPermitted, kHostMemory, kHostMemory, kNone}},
    {"another user",
     [](Facts& facts) {
       facts.is_same_user = facts.is_process_known = facts.are_leases_seen = false;
     },
     {kAnotherProcess, kAnotherUser, kAnotherUser, kHostMemory, kHostMemory, kNone}},
    {"another user, whom memory of another kind would not help",
     [](Facts& facts) {
       facts.is_same_user = facts.is_process_known = facts.are_leases_seen = false;
       facts.exported = Exported::kNone;
     },
     {kAnotherProcess, kAnotherUser, kAnotherUser, kHostMemory, kHostMemory, kNone}},
    {"another pid namespace, with what is mapped handed over",
     [](Facts& facts) { facts.is_same_pid_namespace = facts.is_process_known = false; },
     {kAnotherProcess, kNone, kAnotherPidNamespace, kHostMemory, kHostMemory, kNone}},
    {"another network namespace and no way to the process",
     [](Facts& facts) {
       facts.is_same_network = facts.is_process_known = facts.are_leases_seen = false;
     },
     {kAnotherProcess, kAnotherNetwork, kAnotherNetwork, kHostMemory, kHostMemory,
      kNone}},
    {"nobody knows where",
     [](Facts& facts) {
       facts.where = Where::kUnknown;
       facts.is_process_known = facts.are_leases_seen = false;
     },
     {kAnotherProcess, kUnreachable, kUnreachable, kHostMemory, kHostMemory, kNone}},
};

TEST(Planner, SaysWhatStandsAgainstEachPath) { expect_obstacles(neighbour(), kCases); }

TEST(Planner, TakesTheFastestOfThosePossible) {
  for (const Work& work : {kSmall, kLarge, kScattered}) {
    Facts facts = neighbour();
    EXPECT_EQ(choose(work, facts, {}, {}).path, Path::kHostMap);
    facts.exported = Exported::kNone;
    EXPECT_EQ(choose(work, facts, {}, {}).path, Path::kHostCma);
    facts.is_cma_refused = true;
    EXPECT_EQ(choose(work, facts, {}, {}).path, Path::kUcx);
    facts.where = Where::kThisProcess;
    facts.is_exposed_here = true;
    EXPECT_EQ(choose(work, facts, {}, {}).path, Path::kLocal);
  }
}

TEST(Planner, FollowsTheCosts) {
  Costs costs;
  costs.paths[index_of(Path::kUcx)] = {100'000, 10, 300, 300};
  EXPECT_EQ(choose(kLarge, neighbour(), {}, costs).path, Path::kUcx);
  EXPECT_EQ(choose(kSmall, neighbour(), {}, costs).path, Path::kHostMap);
}

TEST(Planner, TakesNoForbiddenPath) {
  PathRules rules;
  rules.forbidden.add(Path::kHostMap);
  const Choice choice = choose(kLarge, neighbour(), rules, {});
  EXPECT_EQ(choice.path, Path::kHostCma);
  EXPECT_EQ(choice.verdicts[index_of(Path::kHostMap)].obstacle, kForbidden);
}

TEST(Planner, TakesTheRequiredPathOrNone) {
  PathRules rules;
  rules.required.add(Path::kHostCma);
  Facts facts = neighbour();
  EXPECT_EQ(choose(kLarge, facts, rules, {}).path, Path::kHostCma);
  facts.is_cma_refused = true;
  const Choice choice = choose(kLarge, facts, rules, {});
  EXPECT_EQ(choice.path, std::nullopt);
  EXPECT_EQ(choice.verdicts[index_of(Path::kHostCma)].obstacle, kNotPermitted);
  EXPECT_EQ(choice.verdicts[index_of(Path::kUcx)].obstacle, kNotRequired);
}

TEST(Planner, TakesTheFirstNamedPathWhateverIsPredicted) {
  PathRules rules;
  rules.ordered = {Path::kUcx, Path::kHostMap};
  EXPECT_EQ(choose(kLarge, neighbour(), rules, {}).path, Path::kUcx);
  rules.ordered = {Path::kLocal, Path::kHostCma, Path::kHostMap};
  const Choice choice = choose(kLarge, neighbour(), rules, {});
  EXPECT_EQ(choice.path, Path::kHostCma);
  EXPECT_EQ(choice.verdicts[index_of(Path::kUcx)].obstacle, kNotNamed);
}

TEST(Planner, TakesNoPathThatIsSlowerThanAskedFor) {
  PathRules rules;
  rules.min_gbps = 20;
  Facts facts = neighbour();
  EXPECT_EQ(choose(kLarge, facts, rules, {}).verdicts[index_of(Path::kUcx)].obstacle,
            kTooSlow);
  facts.exported = Exported::kNone;
  facts.is_cma_refused = true;
  EXPECT_EQ(choose(kLarge, facts, rules, {}).path, std::nullopt);
}

TEST(Planner, DoesNotCountWhatEveryTransferCostsAsSlowness) {
  PathRules rules;
  rules.min_gbps = 5;
  Facts facts = neighbour();
  EXPECT_EQ(choose(kSmall, facts, rules, {}).path, Path::kHostMap);
  facts.exported = Exported::kNone;
  EXPECT_EQ(choose(kSmall, facts, rules, {}).path, Path::kHostCma);
}

TEST(Planner, FindsAPathForNoBytes) {
  PathRules rules;
  rules.min_gbps = 1000;
  EXPECT_EQ(choose({0, 0, 8}, neighbour(), rules, {}).path, Path::kHostMap);
}

TEST(Prediction, GrowsWithBytesAndRangesAndFallsWithThreads) {
  const PathCosts costs{1000, 100, 5, 20};
  EXPECT_EQ(predict({0, 0, 8}, costs).time, Time(1100));
  EXPECT_EQ(predict({5'000, 1, 8}, costs).time, Time(1000 + 1000 + 100));
  const Time alone = predict({1 << 30, 1, 1}, costs).time;
  const Time with_two = predict({1 << 30, 1, 2}, costs).time;
  const Time with_many = predict({1 << 30, 1, 64}, costs).time;
  EXPECT_NEAR(double(alone.count()) / double(with_two.count()), 2, 0.01);
  EXPECT_NEAR(double(alone.count()) / double(with_many.count()), 4, 0.01);
}

TEST(Prediction, HasATimeForWhatTakesForEver) {
  const PathCosts costs{1e15, 1e15, 1e-300, 1e-300};
  const Time time = predict({1 << 30, 1 << 20, 1}, costs).time;
  EXPECT_GT(time, Time(0));
  EXPECT_LT(time, kNever);
}

TEST(PathRules, AreReadFromOptions) {
  ConnectorOptions connector;
  connector.forbid = {"host.map"};
  connector.require = "ucx";
  connector.min_gbps = 2;
  const PathRules of_connector = rules_of(connector);
  EXPECT_TRUE(of_connector.forbidden.has(Path::kHostMap));
  EXPECT_TRUE(of_connector.required.has(Path::kUcx));
  EXPECT_FALSE(of_connector.required.has(Path::kHostCma));

  OperationOptions operation;
  operation.forbid = {"ucx"};
  operation.require = "host";
  operation.paths = {"host.cma", "local"};
  const PathRules rules = rules_of(operation, of_connector);
  EXPECT_TRUE(rules.forbidden.has(Path::kHostMap));
  EXPECT_TRUE(rules.forbidden.has(Path::kUcx));
  EXPECT_TRUE(rules.required.has(Path::kLocal));
  EXPECT_TRUE(rules.required.has(Path::kCudaPeer));
  EXPECT_FALSE(rules.required.has(Path::kUcx));
  EXPECT_EQ(rules.ordered, (std::vector{Path::kHostCma, Path::kLocal}));
  EXPECT_EQ(rules.min_gbps, 2);
  EXPECT_EQ(rules_of(OperationOptions(), of_connector), of_connector);
}

TEST(PathRules, KnowEachPathByItsName) {
  for (const Path path : kAllPaths) {
    ConnectorOptions options;
    options.require = name_of(path);
    options.paths = {options.require};
    const PathRules rules = rules_of(options);
    for (const Path other : kAllPaths)
      EXPECT_EQ(rules.required.has(other), other == path) << options.require;
    EXPECT_EQ(rules.ordered, std::vector{path});
  }
}

TEST(PathRules, OfAnOperationMayStandForAnyPath) {
  ConnectorOptions connector;
  connector.paths = {"ucx"};
  connector.require = "ucx";
  connector.min_gbps = 2;
  const PathRules of_connector = rules_of(connector);
  const PathRules any =
      rules_of({.paths = std::vector<std::string>(), .require = "", .min_gbps = 0},
               of_connector);
  EXPECT_EQ(any, PathRules());
  const PathRules some = rules_of({.require = ""}, of_connector);
  EXPECT_TRUE(some.required.is_empty());
  EXPECT_EQ(some.ordered, of_connector.ordered);
  EXPECT_EQ(some.min_gbps, 2);
}

TEST(PathRules, RefuseWhatTheyDoNotKnow) {
  const auto refusal = [](const ConnectorOptions& options) {
    try {
      rules_of(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refusal({.paths = {"host.mpa"}}).find("host.mpa"), std::string::npos);
  EXPECT_NE(refusal({.require = "hosts"}).find("require"), std::string::npos);
  EXPECT_NE(refusal({.forbid = {""}}).find("forbid"), std::string::npos);
  EXPECT_NE(refusal({.min_gbps = -1}).find("min_gbps"), std::string::npos);
  EXPECT_NE(refusal({.min_gbps = std::numeric_limits<double>::quiet_NaN()}).find("nan"),
            std::string::npos);
}

TEST(TextOfAPlan, NamesThePathTakenFirstAndAReasonForEachThatIsNot) {
  Facts facts = neighbour();
  facts.exported = Exported::kNone;
  const Plan plan = to_plan(choose(kLarge, facts, {}, {}), {});
  EXPECT_EQ(plan.path, "host.cma");
  ASSERT_EQ(plan.paths.size(), kPaths - 2);  // without those of GPUs
  EXPECT_EQ(plan.paths[0].path, "host.cma");
  EXPECT_EQ(plan.paths[1].path, "ucx");
  EXPECT_TRUE(plan.paths[1].is_usable());
  EXPECT_GT(plan.paths[1].time, plan.paths[0].time);
  for (const PathEstimate& each : plan.paths) {
    EXPECT_EQ(each.is_usable(), each.time.count() > 0) << each.path;
    EXPECT_NE(plan.to_text().find(each.path), std::string::npos);
    EXPECT_NE(plan.to_text().find(each.obstacle), std::string::npos);
    EXPECT_NE(plan.to_text().find(each.remedy), std::string::npos);
  }
}

TEST(TextOfAPlan, TellsWhyTheKernelRefuses) {
  Facts facts = neighbour();
  facts.is_cma_refused = true;
  facts.cma_refusal = std::make_shared<const base::Refusal>(
      base::Refusal{"the scope is 1", "lower it"});
  for (const PathEstimate& each : to_plan(choose(kLarge, facts, {}, {}), {}).paths) {
    if (each.path != "host.cma") continue;
    EXPECT_NE(each.obstacle.find(": the scope is 1"), std::string::npos);
    EXPECT_EQ(each.remedy, "lower it");
  }
}

TEST(TextOfAPlan, OfNoPathTellsWhyAndWhatWouldHelp) {
  Facts facts = neighbour();
  facts.exported = Exported::kNone;
  PathRules rules;
  rules.required.add(Path::kHostMap);
  const Plan plan = to_plan(choose(kLarge, facts, rules, {}), rules);
  EXPECT_EQ(plan.path, "");
  const std::string text = why_none(plan);
  EXPECT_NE(text.find("no path may be taken"), std::string::npos);
  EXPECT_NE(text.find("Connector::allocate()"), std::string::npos);
  EXPECT_NE(text.find("change `require`"), std::string::npos);
}

TEST(TextOfAPlan, InOneLineBeginsWithThePathTaken) {
  Facts facts = neighbour();
  facts.exported = Exported::kNone;
  const std::string line = in_one_line(to_plan(choose(kSmall, facts, {}, {}), {}));
  EXPECT_EQ(line.find("host.cma ("), 0U) << line;
  EXPECT_NE(line.find("; ucx ("), std::string::npos) << line;
  EXPECT_NE(line.find("; host.map: the peer's memory"), std::string::npos) << line;
  EXPECT_EQ(line.find('\n'), std::string::npos) << line;
}

TEST(OnlyUcx, IsLeftWhereNoPathOfOneHostCanBeUsed) {
  Facts facts = neighbour();
  facts.exported = Exported::kNone;
  EXPECT_FALSE(is_only_ucx_left(choose(kLarge, facts, {}, {}), {}));
  facts.is_cma_refused = true;
  const Choice choice = choose(kLarge, facts, {}, {});
  EXPECT_TRUE(is_only_ucx_left(choice, {}));
  const std::string why = why_only_ucx(to_plan(choice, {}));
  EXPECT_NE(why.find("host.map: the peer's memory"), std::string::npos) << why;
  EXPECT_NE(why.find("ptrace_scope"), std::string::npos) << why;
  // Nothing to be done about that.
  EXPECT_EQ(why.find("local"), std::string::npos) << why;
}

TEST(OnlyUcx, IsNotWhatIsLeftIfItIsAskedForOrFaster) {
  Facts facts = neighbour();
  PathRules required;
  required.required.add(Path::kUcx);
  EXPECT_FALSE(is_only_ucx_left(choose(kLarge, facts, required, {}), required));
  PathRules ordered;
  ordered.ordered = {Path::kUcx};
  EXPECT_FALSE(is_only_ucx_left(choose(kLarge, facts, ordered, {}), ordered));
  Costs costs;
  for (const Path path : {Path::kHostMap, Path::kHostCma})
    costs.paths[index_of(path)].start_ns = 1e12;
  const Choice faster = choose(kLarge, facts, {}, costs);
  EXPECT_EQ(faster.path, Path::kUcx);
  EXPECT_FALSE(is_only_ucx_left(faster, {}));
}

TEST(OnlyUcx, IsAskedForByWhoeverForbidsTheOthers) {
  Facts facts = neighbour();
  PathRules rules;
  rules.forbidden.add(Path::kHostCma);
  rules.forbidden.add(Path::kHostMap);
  const Choice both = choose(kLarge, facts, rules, {});
  EXPECT_EQ(both.path, Path::kUcx);
  EXPECT_FALSE(is_only_ucx_left(both, rules));
  facts.exported = Exported::kNone;  // which the options do not say
  const Choice one = choose(kLarge, facts, rules, {});
  EXPECT_TRUE(is_only_ucx_left(one, rules));
  facts.is_host_forbidden = true;
  EXPECT_FALSE(is_only_ucx_left(choose(kLarge, facts, rules, {}), rules));
}

TEST(TextOfAPlan, TellsWhatIsAskedForAndWhatIsPredicted) {
  PathRules rules;
  const auto told = [&](double predicted, double asked) {
    Choice choice;
    Verdict& ucx = choice.verdicts[index_of(Path::kUcx)];
    ucx = {kTooSlow, {Time(1'000), predicted}};
    rules.min_gbps = asked;
    return to_plan(choice, rules).to_text();
  };
  EXPECT_NE(told(1.9, 3).find("it would move 1.9 GB/s, the options ask for 3"),
            std::string::npos);
  EXPECT_NE(told(9.9951, 10).find("it would move 9.995 GB/s, the options ask for 10"),
            std::string::npos);
}

}  // namespace
}  // namespace nixl_connect::core
