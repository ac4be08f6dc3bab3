// SPDX-License-Identifier: Apache-2.0
//
// The file with what the paths cost: what is read, and what is refused.
#include "runtime/costs_file.h"

#include <gtest/gtest.h>

#include <string>

#include "nixl_connect/error.h"

namespace nixl_connect::runtime {
namespace {

std::string refusal_of(const std::string& json) {
  try {
    parse_costs(json);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    return error.what();
  }
  return {};
}

TEST(CostsFile, ReplacesTheFiguresThatItNames) {
  const core::Costs costs = parse_costs(
      R"({"made": "today", "streaming_bytes": 1048576,
          "paths": {"host.cma": {"range_ns": 700, "gbps_most": 33.5}}})");
  core::Costs expected;
  expected.streaming_bytes = 1 << 20;
  core::PathCosts& cma = expected.paths[core::index_of(core::Path::kHostCma)];
  cma.range_ns = 700;
  cma.gbps_most = 33.5;
  EXPECT_EQ(costs, expected);
}

TEST(CostsFile, NamesThePathsOfGpusOrLeavesTheirUsualFigures) {
  // As the files that are measured have all but that.
  const core::Costs without = parse_costs(
      R"({"paths": {"local": {"start_ns": 1}, "host.map": {"start_ns": 1},
          "host.cma": {"start_ns": 1}, "ucx": {"start_ns": 1}}})");
  for (const core::Path path : {core::Path::kCudaPeer, core::Path::kCudaStaged})
    EXPECT_EQ(without.of(path), core::Costs().of(path));
  const core::Costs with = parse_costs(
      R"({"paths": {"cuda.peer": {"range_ns": 5}, "cuda.staged": {"range_ns": 6}}})");
  EXPECT_EQ(with.of(core::Path::kCudaPeer).range_ns, 5);
  EXPECT_EQ(with.of(core::Path::kCudaStaged).range_ns, 6);
}

TEST(CostsFile, HasFiguresOfGpusThatAreNoPaths) {
  const core::Costs costs = parse_costs(
      R"({"engine_range_ns": 2500, "engine_bytes": 262144,
          "slots": {"start_ns": 7, "gbps_most": 8}})");
  core::Costs expected;
  expected.engine_range_ns = 2500;
  expected.engine_bytes = 256 << 10;
  expected.slots.start_ns = 7;
  expected.slots.gbps_most = 8;
  EXPECT_EQ(costs, expected);
}

TEST(CostsFile, MayNameNothing) { EXPECT_EQ(parse_costs("{}"), core::Costs()); }

TEST(CostsFile, RefusesWhatItCannotUse) {
  for (const char* json :
       {"", "[]", "{", R"({"paths": 1})", R"({"paths": {"ucx": 1}})",
        R"({"paths": {"ucx": {"start_ns": "1"}}})",
        R"({"paths": {"ucx": {"gbps_most": 0}}})", R"({"streaming_bytes": -1})",
        R"({"slots": 1})", R"({"engine_bytes": 0})"})
    EXPECT_NE(refusal_of(json).find("the costs of the paths"), std::string::npos)
        << json;
}

TEST(CostsFile, NamesWhatItDoesNotKnow) {
  EXPECT_NE(refusal_of(R"({"paths": {"host.mpa": {}}})").find("host.mpa"),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"paths": {"ucx": {"gbps": 1}}})").find("ucx has \"gbps\""),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"path": {}})").find("\"path\""), std::string::npos);
  EXPECT_EQ(refusal_of(R"({"made": 1, "host": "a", "cores": 2, "version": "1"})"), "");
}

TEST(CostsFile, RefusesFiguresOfNoMachine) {
  EXPECT_NE(refusal_of(R"({"streaming_bytes": 1e18})").find("1e15"), std::string::npos);
  EXPECT_NE(refusal_of(R"({"paths": {"ucx": {"start_ns": 1e300}}})").find("start_ns"),
            std::string::npos);
  EXPECT_EQ(refusal_of(R"({"paths": {"ucx": {"start_ns": 1e15}}})"), "");
}

TEST(CostsFile, ThatCannotBeReadIsRefusedByName) {
  for (const char* file : {"/nonexistent/costs.json", "/"}) {
    try {
      costs_of(file);
      ADD_FAILURE() << file;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(file), std::string::npos);
      EXPECT_NE(std::string(error.what()).find("--calibrate"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace nixl_connect::runtime
