// SPDX-License-Identifier: Apache-2.0
//
// What an operation takes of the GPU that copies, as options say it.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/cuda/page_kernel_image.h"
#include "paths/cuda/session.h"
#include "paths/cuda/stand_in/control.h"
#include "runtime/buffers.h"

namespace nixl_connect {
namespace {

namespace stand_in = paths::cuda::stand_in;
using paths::cuda::testing::bytes_of;
using paths::cuda::testing::Session;
using testing::finish;

class GpuLimits : public ::testing::Test {
 protected:
  static constexpr std::size_t kPage = 4096;
  static constexpr std::size_t kPages = 2000;
  static constexpr std::size_t kSize = 2 * kPages * kPage;

  void SetUp() override {
    stand_in::reset();
    session_.fill(source_.get(), 5, kSize);
    session_.fill(target_.get(), 0, kSize);
  }
  void TearDown() override { stand_in::reset(); }

  static ConnectorOptions options(bool sm, std::optional<unsigned> max_blocks) {
    ConnectorOptions options = testing::across_processes();
    options.cuda_driver = stand_in::file();
    options.sm = sm;
    options.max_blocks = max_blocks;
    return options;
  }

  // Every other page, which are no neighbours.
  static std::vector<Descriptor> pages(paths::cuda::CuDevicePointer address) {
    std::vector<Descriptor> pages;
    for (std::size_t i = 0; i < kPages; ++i)
      pages.emplace_back(reinterpret_cast<void*>(address + 2 * i * kPage), kPage,
                         Device(DeviceKind::kCuda, 0));
    return pages;
  }

  // By how many blocks; 0: by the copy engine.
  unsigned blocks(const ConnectorOptions& options, const OperationOptions& of_one) {
    const unsigned before = stand_in::calls("cuLaunchKernel");
    Connector connector(options);
    auto readable = connector.create_readable(pages(source_.get()));
    auto read = connector.begin_read(readable.metadata(), pages(target_.get()), of_one);
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(session_.read(target_.get() + 2 * (kPages - 1) * kPage, kPage),
              bytes_of(5, kPage));
    if (stand_in::calls("cuLaunchKernel") == before) return 0;
    return stand_in::last_launch().blocks;
  }

  const Session session_;
  const paths::cuda::DeviceMemory source_ =
      paths::cuda::allocate(session_.driver, kSize);
  const paths::cuda::DeviceMemory target_ =
      paths::cuda::allocate(session_.driver, kSize);
};

TEST_F(GpuLimits, AreThoseOfTheConnectorUnlessTheOperationHasOthers) {
  if (!paths::cuda::has_page_kernel())
    GTEST_SKIP() << paths::cuda::why_no_page_kernel();
  EXPECT_EQ(blocks(options(true, {}), {}), 132U) << "small pages within one GPU";
  EXPECT_EQ(stand_in::last_launch().kernel, "nixl_connect_copy_plain");
  EXPECT_EQ(blocks(options(true, 7), {}), 7U);
  EXPECT_EQ(stand_in::last_launch().kernel, "nixl_connect_copy_bulk");
  EXPECT_EQ(blocks(options(true, 7), {.max_blocks = 9}), 9U);
  EXPECT_EQ(blocks(options(true, {}), {.max_blocks = 1024}), 132U);
  EXPECT_EQ(blocks(options(false, {}), {.sm = true, .max_blocks = 3}), 3U);
}

TEST_F(GpuLimits, KeepOffMultiprocessors) {
  EXPECT_EQ(blocks(options(false, 7), {}), 0U);
  EXPECT_EQ(blocks(options(false, {}), {.max_blocks = 9}), 0U);
  EXPECT_EQ(blocks(options(true, {}), {.sm = false}), 0U);
}

TEST_F(GpuLimits, MakeAnHonestPrediction) {
  Connector connector(options(true, {}));
  auto readable = connector.create_readable(pages(source_.get()));
  const auto time = [&](const OperationOptions& of_one) {
    const Plan plan =
        connector.explain(readable.metadata(), pages(target_.get()), of_one);
    for (const PathEstimate& each : plan.paths)
      if (each.path == "cuda.peer") return each.time;
    return std::chrono::nanoseconds(0);
  };
  if (paths::cuda::has_page_kernel())
    EXPECT_GT(time({.sm = false}), 10 * time({}));
  else
    EXPECT_EQ(time({.sm = false}), time({}));
}

// What is measured of a machine.
TEST_F(GpuLimits, LeaveRangesOfAnySizeToCopyEnginesAsTheCostsSay) {
  const std::string file = ::testing::TempDir() + "engine_bytes.json";
  ConnectorOptions with_costs = options(true, {});
  with_costs.costs_file = file;
  for (const auto& [engine_bytes, is_for_kernel] :
       {std::pair{kPage, false}, std::pair{kPage + 1, true}}) {
    std::ofstream(file) << R"({"engine_bytes": )" << engine_bytes << "}";
    EXPECT_EQ(blocks(with_costs, {}) > 0,
              is_for_kernel && paths::cuda::has_page_kernel());
  }
  std::remove(file.c_str());
}

TEST_F(GpuLimits, AreRefusedOutOfRangeWithWhatHelps) {
  Connector connector(options(true, {}));
  auto readable = connector.create_readable(pages(source_.get()));
  for (const unsigned number : {0U, 1025U}) {
    const std::string text = "max_blocks is " + std::to_string(number) +
                             "; it is a number of multiprocessors from 1 to 1024";
    for (const auto& attempt :
         {std::function<void()>([&] { Connector(options(true, number)); }),
          std::function<void()>([&] {
            (void)connector.begin_read(readable.metadata(), pages(target_.get()),
                                       {.max_blocks = number});
          })}) {
      try {
        attempt();
        ADD_FAILURE() << number;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
        EXPECT_NE(std::string(error.what()).find(text), std::string::npos)
            << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace nixl_connect
