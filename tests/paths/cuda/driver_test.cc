// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/driver.h"

#include <gtest/gtest.h>

#include "paths/cuda/stand_in/control.h"

namespace nixl_connect::paths::cuda {
namespace {

TEST(CudaDriver, ThatIsMissingIsAFactWithTheReason) {
  const OpenedDriver opened = open_driver("/nonexistent/libcuda.so.1");
  EXPECT_EQ(opened.driver, nullptr);
  EXPECT_TRUE(opened.why_not.starts_with("no CUDA driver: /nonexistent/libcuda.so.1"))
      << opened.why_not;
}

TEST(CudaDriver, ThatIsTooOldIsAFactWithTheReason) {
  // A library without the function by which those since CUDA 12.0 give out the others.
  const OpenedDriver opened = open_driver("libm.so.6");
  EXPECT_EQ(opened.driver, nullptr);
  EXPECT_EQ(opened.why_not,
            "no CUDA driver: libm.so.6 is older than CUDA 12.0 (it lacks "
            "cuGetProcAddress_v2)");
}

TEST(CudaDriver, IsOpenedOnce) {
  const OpenedDriver opened = open_driver(stand_in::file());
  ASSERT_NE(opened.driver, nullptr) << opened.why_not;
  EXPECT_EQ(opened.driver->version, 12000);
  EXPECT_EQ(open_driver(stand_in::file()).driver, opened.driver);
}

}  // namespace
}  // namespace nixl_connect::paths::cuda
