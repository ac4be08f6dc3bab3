// SPDX-License-Identifier: Apache-2.0
//
// What an exposing Connector answers to whoever asks for keys of its memory of a GPU,
// by the stand-in for CUDA's driver, for which UCX has no keys: when, and why not.
#include <gtest/gtest.h>

#include "runtime/asker.h"
#include "runtime/gpu_order.h"

namespace nixl_connect::testing {
namespace {

class GpuKeys : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override {
    connector_.close();
    stand_in::reset();
  }

  static wire::AskKeys question(const Asker& asker, std::uint64_t operation) {
    return {operation, asker.extension().lease.id, asker.extension().lease.token, 0};
  }

  Gpu gpu_{1};
  Connector connector_{with_gpus()};
};

TEST_F(GpuKeys, AreNotPromisedWhereUcxHasNone) {
  auto readable = connector_.create_readable(gpu_.descriptor());
  const Asker asker(readable);
  EXPECT_FALSE(asker.extension().gives_keys);
  asker.say(question(asker, 5));
  const wire::Keys keys = asker.hear<wire::Keys>();
  EXPECT_EQ(keys.operation, 5U);
  EXPECT_EQ(keys.count, 0U);
  EXPECT_NE(keys.why_not.find("as the option cuda_driver says"), std::string::npos)
      << keys.why_not;
}

TEST_F(GpuKeys, AreGivenOnlyWhenTheStreamHasComeBy) {
  gpu_.hold();
  gpu_.fill(7);
  auto readable = connector_.create_readable(gpu_.descriptor(), gpu_.ordered());
  const Asker asker(readable);
  ASSERT_TRUE(asker.extension().ready);
  asker.say(question(asker, 5));
  stand_in::wait_for_calls("cuEventQuery", stand_in::calls("cuEventQuery") + 3);
  EXPECT_FALSE(asker.has_answer(0));
  gpu_.release();
  EXPECT_EQ(asker.hear<wire::Keys>().operation, 5U);
}

TEST_F(GpuKeys, AreRefusedWithoutTheTokenAndWhenTheOperationHasEnded) {
  gpu_.hold();
  auto readable = connector_.create_readable(gpu_.descriptor(), gpu_.ordered());
  const Asker asker(readable);
  wire::AskKeys forged = question(asker, 5);
  forged.token ^= 1;
  asker.say(forged);
  EXPECT_EQ(asker.hear<wire::Keys>().why_not, "its operation has ended");
  asker.say(question(asker, 6));
  readable.cancel();
  const wire::Keys keys = asker.hear<wire::Keys>();
  EXPECT_EQ(keys.operation, 6U);
  EXPECT_EQ(keys.why_not, "its operation has ended");
  gpu_.release();
}

}  // namespace
}  // namespace nixl_connect::testing
