// SPDX-License-Identifier: Apache-2.0
//
// What operations and Connectors say of their paths, and the options that steer them.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"

namespace nixl_connect {
namespace {

using testing::Buffer;
using testing::finish;

const PathEstimate& estimate_of(const Plan& plan, const std::string& path) {
  const auto found =
      std::find_if(plan.paths.begin(), plan.paths.end(),
                   [&](const PathEstimate& each) { return each.path == path; });
  EXPECT_NE(found, plan.paths.end()) << path;
  return *found;
}

class Planned : public ::testing::Test {
 protected:
  Connector exposer_{testing::across_processes()};
  Connector initiator_{testing::across_processes()};
  Buffer source_{100'000, 7};
  Buffer target_{100'000};
  ReadableOperation readable_ =
      exposer_.create_readable(source_.descriptor(), {.stays_open = true});
};

TEST_F(Planned, AnOperationExplainsItsPath) {
  auto read = initiator_.begin_read(readable_.metadata(), target_.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  const Plan plan = read.explain();
  EXPECT_EQ(plan.path, "host.cma");
  EXPECT_EQ(plan.bytes, 100'000U);
  EXPECT_EQ(plan.ranges, 1U);
  EXPECT_EQ(plan.paths.size(), 4U);  // those for host memory
  EXPECT_TRUE(estimate_of(plan, "ucx").is_usable());
  EXPECT_NE(estimate_of(plan, "host.map").remedy.find("allocate"), std::string::npos);
  EXPECT_NE(estimate_of(plan, "local").obstacle.find("forbid"), std::string::npos);
}

TEST_F(Planned, TheExposingSideKnowsThePeersPath) {
  EXPECT_EQ(readable_.explain().path, "");
  auto read = initiator_.begin_read(readable_.metadata(), target_.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(finish(readable_), OperationStatus::kComplete);
  EXPECT_EQ(readable_.explain().path, "host.cma");
  EXPECT_TRUE(readable_.explain().paths.empty());
}

TEST_F(Planned, AConnectorExplainsWithoutMovingAByte) {
  const std::vector<Descriptor> targets{target_.descriptor()};
  const Plan plan = initiator_.explain(readable_.metadata(), targets);
  EXPECT_EQ(plan.path, "host.cma");
  EXPECT_GT(estimate_of(plan, "host.cma").gbps, 0);
  EXPECT_EQ(initiator_.explain(readable_.metadata(), targets, {.require = "ucx"}).path,
            "ucx");
  const Plan none =
      initiator_.explain(readable_.metadata(), targets, {.require = "host.map"});
  EXPECT_EQ(none.path, "");
  target_.expect_untouched();
  EXPECT_EQ(readable_.status(), OperationStatus::kInitialized);
}

TEST_F(Planned, ThePathOfGpusAnswersThoseWhoNameIt) {
  const std::vector<Descriptor> targets{target_.descriptor()};
  const Plan required =
      initiator_.explain(readable_.metadata(), targets, {.require = "cuda.peer"});
  EXPECT_EQ(required.path, "");
  EXPECT_EQ(estimate_of(required, "cuda.peer").obstacle, "the memory is the host's");
  const Plan ordered =
      initiator_.explain(readable_.metadata(), targets,
                         {.paths = std::vector<std::string>{"cuda.peer", "host.cma"}});
  EXPECT_EQ(ordered.path, "host.cma");
  auto read = initiator_.begin_read(readable_.metadata(), target_.descriptor(),
                                    {.require = "cuda.peer"});
  EXPECT_EQ(testing::kind_of([&] { read.wait(); }), ErrorKind::kUnsupported);
  target_.expect_untouched();
}

TEST_F(Planned, ExplainingRefusesWhatBeginningRefuses) {
  const std::vector<Descriptor> targets{target_.descriptor().slice(0, 10)};
  EXPECT_EQ(testing::kind_of([&] {
              static_cast<void>(initiator_.explain(readable_.metadata(), targets));
            }),
            ErrorKind::kInvalidArgument);
}

TEST_F(Planned, AnOperationThatMayTakeNoPathEndsBeforeItMovesAByte) {
  auto read = initiator_.begin_read(readable_.metadata(), target_.descriptor(),
                                    {.require = "host.map"});
  try {
    read.wait();
    ADD_FAILURE() << "it went by " << read.path();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    const std::string text = error.what();
    EXPECT_NE(text.find("reading 100000 bytes from peer"), std::string::npos) << text;
    EXPECT_NE(text.find("host.map: the peer's memory cannot be mapped"),
              std::string::npos)
        << text;
  }
  target_.expect_untouched();
  // The exposing side has not heard of it.
  EXPECT_EQ(readable_.status(), OperationStatus::kInitialized);
  auto second = initiator_.begin_read(readable_.metadata(), target_.descriptor());
  EXPECT_EQ(finish(second), OperationStatus::kComplete);
}

TEST_F(Planned, AWriteThatMayTakeNoPathEndsToo) {
  Buffer memory(1000);
  auto writable = exposer_.create_writable(memory.descriptor());
  auto write = initiator_.begin_write(source_.descriptor().slice(0, 1000),
                                      writable.metadata(), {.min_gbps = 1e6});
  EXPECT_EQ(testing::kind_of([&] { write.wait(); }), ErrorKind::kUnsupported);
  EXPECT_EQ(writable.status(), OperationStatus::kInitialized);
  memory.expect_untouched();
  writable.cancel();
}

TEST_F(Planned, PathsAreTakenInTheOrderInWhichTheyAreNamed) {
  auto read = initiator_.begin_read(
      readable_.metadata(), target_.descriptor(),
      {.paths = std::vector<std::string>{"host.map", "ucx", "host.cma"}});
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.explain().path, "ucx");
  EXPECT_EQ(read.path().substr(0, 3), "ucx");
  target_.expect_pattern(7);
}

TEST_F(Planned, WhatTheConnectorAsksForHoldsForItsOperations) {
  ConnectorOptions options = testing::across_processes();
  options.require = "ucx";
  Connector other(options);
  auto read = other.begin_read(readable_.metadata(), target_.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.explain().path, "ucx");
  auto second = other.begin_read(readable_.metadata(), target_.descriptor(),
                                 {.require = "host.cma"});
  EXPECT_EQ(finish(second), OperationStatus::kComplete);
  EXPECT_EQ(second.path(), "host.cma");
}

TEST_F(Planned, WhatTheConnectorForbidsNoOperationTakes) {
  auto read = initiator_.begin_read(readable_.metadata(), target_.descriptor(),
                                    {.require = "local"});
  EXPECT_EQ(testing::kind_of([&] { read.wait(); }), ErrorKind::kUnsupported);
}

TEST_F(Planned, UnknownPathsAreRefusedByName) {
  EXPECT_EQ(testing::kind_of([&] {
              initiator_.begin_read(readable_.metadata(), target_.descriptor(),
                                    {.paths = std::vector<std::string>{"host.mpa"}});
            }),
            ErrorKind::kInvalidArgument);
  EXPECT_EQ(testing::kind_of([] { Connector({.require = "tcp"}); }),
            ErrorKind::kInvalidArgument);
}

TEST_F(Planned, TheCostsOfTheMachineDecide) {
  const std::string file = ::testing::TempDir() + "costs.json";
  std::FILE* const stream = std::fopen(file.c_str(), "w");
  ASSERT_NE(stream, nullptr);
  std::fputs(R"({"paths": {"host.cma": {"start_ns": 1e9}}})", stream);
  std::fclose(stream);
  ConnectorOptions options = testing::across_processes();
  options.costs_file = file;
  Connector other(options);
  auto read = other.begin_read(readable_.metadata(), target_.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.explain().path, "ucx");
  std::remove(file.c_str());
}

}  // namespace
}  // namespace nixl_connect
