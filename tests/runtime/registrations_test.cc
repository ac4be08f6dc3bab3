// SPDX-License-Identifier: Apache-2.0
#include "runtime/registrations.h"

#include <gtest/gtest.h>

#include <vector>

#include "nixl_connect/options.h"
#include "paths/ucx/library.h"
#include "runtime/gpu_ucx.h"
#include "runtime/gpus.h"

namespace nixl_connect::runtime {
namespace {

class RegistrationCache : public ::testing::Test {
 protected:
  RegistrationHold acquire(const Descriptor& descriptor) {
    return registrations_.acquire(std::span(&descriptor, 1));
  }

  paths::ucx::Context context_{
      paths::ucx::open_library(ConnectorOptions::from_environment().ucx_directory), {}};
  Gpus gpus_{""};
  std::unique_ptr<paths::ucx::Worker> worker_;
  GpuUcx gpu_ucx_{context_.library(), {.gpus = true}, gpus_, worker_};
  Registrations registrations_{context_, gpus_, gpu_ucx_, "agent"};
  std::shared_ptr<std::vector<char>> memory_ =
      std::make_shared<std::vector<char>>(4096);
  Descriptor owned_{memory_->data(), memory_->size(), {}, memory_};
};

TEST_F(RegistrationCache, SharesOneRegistrationBetweenOperations) {
  const RegistrationHold first = acquire(owned_);
  const RegistrationHold second = acquire(owned_);
  EXPECT_EQ(first[0], second[0]);
}

TEST_F(RegistrationCache, KeepsOwnedMemoryRegisteredBetweenOperations) {
  const paths::ucx::Registration* before = acquire(owned_)[0];
  const RegistrationHold other = acquire(owned_.slice(0, 10));
  EXPECT_EQ(acquire(owned_)[0], before);
}

TEST_F(RegistrationCache, HasNoRegistrationForAnEmptyDescriptor) {
  EXPECT_EQ(acquire(Descriptor(nullptr, 0))[0], nullptr);
}

TEST_F(RegistrationCache, DescribesRegionsUnderOneNameWhileKeysStay) {
  const RegistrationHold hold = acquire(owned_);
  const auto agent = registrations_.describe(std::span(&owned_, 1), hold);
  EXPECT_EQ(agent.agent, "agent-1");
  ASSERT_EQ(agent.regions.size(), 1U);
  EXPECT_EQ(agent.regions[0].address, owned_.ptr());
  EXPECT_EQ(agent.regions[0].size, owned_.size());
  EXPECT_EQ(agent.regions[0].rkey, hold[0]->packed_rkey());
  EXPECT_EQ(registrations_.describe(std::span(&owned_, 1), hold).agent, "agent-1");
}

}  // namespace
}  // namespace nixl_connect::runtime
