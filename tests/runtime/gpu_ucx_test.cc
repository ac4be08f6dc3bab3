// SPDX-License-Identifier: Apache-2.0
//
// Memory of GPUs and UCX, as far as can be told without a GPU: UCX knows the real
// driver only, and the stand-in is none. What it carries, tests/gpu/interop_gpu.py
// shows.
#include "runtime/gpu_ucx.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/cuda/session.h"
#include "paths/cuda/stand_in/control.h"
#include "runtime/buffers.h"
#include "runtime/gpu_closing.h"
#include "runtime/gpus.h"
#include "runtime/registrations.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::runtime {
namespace {

namespace stand_in = paths::cuda::stand_in;
using paths::cuda::testing::Session;

constexpr std::size_t kSize = 4096;

ConnectorOptions with_driver(const std::string& file) {
  ConnectorOptions options = testing::across_processes();
  options.cuda_driver = file;
  return options;
}

// UCX for GPUs beside that of a Connector, with a driver of this file.
struct Parts {
  explicit Parts(const std::string& driver) : gpus(driver) {}

  paths::ucx::Context context{
      paths::ucx::open_library(ConnectorOptions::from_environment().ucx_directory), {}};
  Gpus gpus;
  std::unique_ptr<paths::ucx::Worker> worker =
      std::make_unique<paths::ucx::Worker>(context);
  GpuUcx ucx{context.library(), {.gpus = true}, gpus, worker};
  Registrations registrations{context, gpus, ucx, "agent"};
};

TEST(GpuUcx, IsNotThereUntilItIsAskedFor) {
  Parts parts(stand_in::file());
  EXPECT_EQ(parts.ucx.worker(), nullptr);
  EXPECT_EQ(parts.ucx.why_not(), nullptr);
}

TEST(GpuUcx, SaysThatThereIsNoDriver) {
  Parts parts("/there/is/no/libcuda.so.1");
  EXPECT_FALSE(parts.ucx.open(0));
  EXPECT_EQ(parts.ucx.worker(), nullptr);
  EXPECT_EQ(parts.ucx.why_not()->find("no CUDA driver: "), 0U) << *parts.ucx.why_not();
}

TEST(GpuUcx, SaysWhatIsKnownToStandAgainstItWithoutOpeningAnything) {
  Parts without_driver("/there/is/no/libcuda.so.1");
  EXPECT_FALSE(without_driver.ucx.may_open());
  EXPECT_EQ(without_driver.ucx.why_not()->find("no CUDA driver: "), 0U);
  Parts with_another(stand_in::file());
  EXPECT_FALSE(with_another.ucx.may_open());
  EXPECT_NE(with_another.ucx.why_not()->find("as the option cuda_driver says"),
            std::string::npos);
  EXPECT_EQ(with_another.ucx.worker(), nullptr);
}

TEST(GpuUcx, RefusesADriverThatUcxDoesNotUse) {
  Parts parts(stand_in::file());
  EXPECT_FALSE(parts.ucx.open(0));
  EXPECT_NE(parts.ucx.why_not()->find("as the option cuda_driver says"),
            std::string::npos)
      << *parts.ucx.why_not();
}

TEST(GpuUcx, CannotBeHadOnceItIsClosed) {
  Parts parts("/there/is/no/libcuda.so.1");
  parts.ucx.close();
  EXPECT_FALSE(parts.ucx.open(0));
  EXPECT_EQ(*parts.ucx.why_not(), "the Connector is closed");
}

TEST(GpuClosing, HoldsWhatBeginsUntilItHasClosedAll) {
  Parts parts("/there/is/no/libcuda.so.1");
  GpuClosing closing;
  EXPECT_TRUE(closing.is_empty());
  EXPECT_EQ(closing.deadline(), core::kNever);
  const core::Time now = std::chrono::seconds(7);
  paths::ucx::Worker& worker = *parts.worker;
  paths::ucx::Endpoint& first = worker.connect(worker.address(), nullptr);
  paths::ucx::Endpoint& second = worker.connect(worker.address(), nullptr);
  closing.add(first, now);
  closing.add(second, now + std::chrono::hours(1));
  EXPECT_FALSE(closing.is_empty());
  EXPECT_EQ(closing.deadline(), now + std::chrono::seconds(2)) << "of the first";
  for (const core::OperationId operation : {3, 4, 5}) closing.hold(operation);
  EXPECT_TRUE(closing.drop(4));
  EXPECT_FALSE(closing.drop(4));
  EXPECT_TRUE(first.may_post() && second.may_post());
  EXPECT_EQ(closing.close_all(), (std::vector<core::OperationId>{3, 5}));
  EXPECT_FALSE(first.may_post() || second.may_post());
  EXPECT_TRUE(closing.is_empty());
  EXPECT_TRUE(closing.close_all().empty());
}

// A page of the second GPU of the stand-in.
class GpuPage : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override { stand_in::reset(); }

  Descriptor page() const {
    return {reinterpret_cast<void*>(memory_.get()), kSize,
            Device(DeviceKind::kCuda, 1)};
  }

  const Session session_{1};
  const paths::cuda::DeviceMemory memory_ =
      paths::cuda::allocate(session_.driver, kSize);
};

TEST_F(GpuPage, IsDescribedToNixlAgentsOnlyIfTheyCanReachIt) {
  Parts parts(stand_in::file());
  const Descriptor descriptor = page();
  const auto hold = parts.registrations.acquire(std::span(&descriptor, 1));
  EXPECT_EQ(hold[0], nullptr);
  EXPECT_NE(hold.gpu_allocation(0), nullptr);
  const auto agent = parts.registrations.describe(std::span(&descriptor, 1), hold);
  EXPECT_FALSE(agent.connection);
  EXPECT_EQ(agent.agent, "agent-1");
  ASSERT_EQ(agent.regions.size(), 1U);
  EXPECT_EQ(agent.regions[0].memory, wire::MemoryType::kVram);
  EXPECT_EQ(agent.regions[0].device_id, 1U);
  EXPECT_TRUE(agent.regions[0].rkey.empty());
}

TEST_F(GpuPage, IsExposedByTheWorkerOfTheHostsMemoryIfUcxHasNoGpus) {
  Connector connector(with_driver(stand_in::file()));
  testing::Buffer host(kSize);
  const auto agent_of = [&](const Descriptor& descriptor) {
    auto readable = connector.create_readable(descriptor);
    return wire::decode(wire::decode_blob_text(readable.metadata().nixl_metadata));
  };
  const wire::AgentMetadata of_host = agent_of(host.descriptor());
  const wire::AgentMetadata of_gpu = agent_of(page());
  EXPECT_EQ(of_gpu.connection, of_host.connection);
  EXPECT_EQ(of_gpu.agent, of_host.agent);
  EXPECT_TRUE(of_gpu.extension->connection.empty());
}

TEST_F(GpuPage, IsRefusedBetweenConnectorsOfTwoHostsWithWhatToDoIfUcxHasNoGpus) {
  ConnectorOptions apart = with_driver(stand_in::file());
  apart.forbid = {"host"};
  Connector exposer(apart);
  Connector initiator(apart);
  testing::Buffer host(kSize);
  constexpr std::size_t kHalf = kSize / 2;
  const auto readable = exposer.create_readable(page().slice(0, kHalf));
  for (const Descriptor& target :
       {host.descriptor().slice(0, kHalf), page().slice(kHalf, kHalf)}) {
    auto read = initiator.begin_read(readable.metadata(), target);
    std::string told;
    try {
      (void)read.wait_for(testing::kSoon);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
      told = error.what();
    }
    for (const char* const words :
         {"ucx: the UCX of this process does not carry memory of GPUs: ",
          "as the option cuda_driver says",
          "or copy to and from the host's memory apart"})
      EXPECT_NE(told.find(words), std::string::npos) << told;
  }
  host.expect_untouched();
}

// Metadata as of a NIXL agent, whose memory is of a GPU.
RdmaMetadata as_of_nixl_agent(const ReadableOperation& readable) {
  RdmaMetadata metadata = readable.metadata();
  wire::AgentMetadata agent =
      wire::decode(wire::decode_blob_text(metadata.nixl_metadata));
  agent.extension.reset();
  agent.agent = "genuine";
  agent.regions[0].memory = wire::MemoryType::kVram;
  metadata.descriptors[0].device = "cuda:0";
  metadata.nixl_metadata =
      wire::encode_blob_text(wire::encode(agent), wire::BlobText::kBase64);
  return metadata;
}

TEST_F(GpuPage, IsNotMovedFromANixlAgentIfUcxHasNoGpusAndTheReasonIsTold) {
  Connector exposer(testing::across_processes());
  testing::Buffer remote(kSize);
  testing::Buffer host(kSize);
  const auto readable = exposer.create_readable(remote.descriptor());
  for (const auto& [driver, words] :
       {std::pair{std::string(stand_in::file()), "as the option cuda_driver says"},
        std::pair{std::string("/there/is/no/libcuda.so.1"), "no CUDA driver: "}}) {
    Connector connector(with_driver(driver));
    std::vector<Descriptor> targets{host.descriptor()};
    if (driver == stand_in::file()) targets.push_back(page());
    for (const Descriptor& target : targets) {
      auto read = connector.begin_read(as_of_nixl_agent(readable), target);
      std::string told;
      try {
        (void)read.wait_for(testing::kSoon);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
        told = error.what();
      }
      EXPECT_NE(
          told.find("ucx: the UCX of this process does not carry memory of GPUs: "),
          std::string::npos)
          << told;
      EXPECT_NE(told.find(words), std::string::npos) << told;
    }
  }
  host.expect_untouched();
}

}  // namespace
}  // namespace nixl_connect::runtime
