// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "nixl_connect/device.h"
#include "nixl_connect/error.h"
#include "paths/cuda/page_kernel_image.h"
#include "paths/cuda/stand_in/control.h"

namespace nixl_connect {
namespace {

namespace stand_in = paths::cuda::stand_in;

TEST(GpuReport, TellsOfEachGpuWithoutMakingContexts) {
  stand_in::reset();
  const GpuReport report = report_gpus(stand_in::file());
  EXPECT_EQ(report.driver_file, stand_in::file());
  EXPECT_EQ(report.driver_version, 12000);
  EXPECT_EQ(report.why_no_driver, "");
  ASSERT_EQ(report.gpus.size(), 2U);
  const GpuFacts& second = report.gpus[1];
  EXPECT_EQ(second.number, 1);
  EXPECT_EQ(second.name, "Stand-in 1");
  EXPECT_EQ(second.uuid, "GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1");
  EXPECT_EQ(second.pci_id, "0000:02:00.0");
  EXPECT_EQ(second.compute_capability, 90);
  EXPECT_EQ(second.multiprocessors, 132);
  EXPECT_EQ(second.reaches, std::vector<int>{0});
  EXPECT_TRUE(second.exports_files);
  EXPECT_TRUE(second.has_event_handles);
  EXPECT_EQ(stand_in::calls("cuDevicePrimaryCtxRetain"), 0U);
}

TEST(GpuReport, TellsWhichGpusAreApart) {
  stand_in::reset();
  stand_in::set_peers(false);
  for (const GpuFacts& gpu : report_gpus(stand_in::file()).gpus)
    EXPECT_TRUE(gpu.reaches.empty());
  stand_in::reset();
}

TEST(GpuReport, TellsWhyThereIsNoDriver) {
  const GpuReport report = report_gpus("/there/is/no/libcuda.so.1");
  EXPECT_TRUE(report.why_no_driver.starts_with("no CUDA driver: /there/is/no"))
      << report.why_no_driver;
  EXPECT_EQ(report.driver_file, "");
  EXPECT_TRUE(report.gpus.empty());
}

TEST(GpuReport, TellsOfThePageKernel) {
  const GpuReport report = report_gpus(stand_in::file());
  EXPECT_EQ(report.kernel_for.empty(), !paths::cuda::has_page_kernel());
  EXPECT_EQ(report.why_no_kernel, paths::cuda::why_no_page_kernel());
  for (const int capability : report.kernel_for) EXPECT_GE(capability, 80);
}

TEST(GpuReport, ThrowsIfTheDriverFailsLater) {
  stand_in::reset();
  stand_in::fail("cuDeviceGetName", paths::cuda::kCuOutOfMemory);
  EXPECT_THROW((void)report_gpus(stand_in::file()), Error);
}

}  // namespace
}  // namespace nixl_connect
