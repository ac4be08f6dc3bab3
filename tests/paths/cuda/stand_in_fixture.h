// SPDX-License-Identifier: Apache-2.0
//
// For tests with the stand-in driver.
#pragma once

#include <gtest/gtest.h>

#include "paths/cuda/session.h"
#include "paths/cuda/stand_in/control.h"

namespace nixl_connect::paths::cuda::testing {

// Each test begins with a stand-in that nothing was asked of.
class StandInTest : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override { stand_in::reset(); }
};

}  // namespace nixl_connect::paths::cuda::testing
