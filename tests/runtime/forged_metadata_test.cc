// SPDX-License-Identifier: Apache-2.0
//
// Metadata that was changed on its way, beside what is known of the peer from before.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect {
namespace {

using testing::Buffer;
using testing::finish;

constexpr std::uint32_t kSeed = 3;

class ForgedMetadata : public ::testing::Test {
 protected:
  ForgedMetadata() {
    auto read = initiator_.begin_read(readable_.metadata(), target_.descriptor());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
  }

  RdmaMetadata changed(const std::function<void(wire::AgentMetadata&)>& change) {
    return changed(change, readable_.metadata());
  }
  RdmaMetadata changed(const std::function<void(wire::AgentMetadata&)>& change,
                       RdmaMetadata metadata) {
    wire::AgentMetadata agent =
        wire::decode(wire::decode_blob_text(metadata.nixl_metadata));
    change(agent);
    metadata.nixl_metadata =
        wire::encode_blob_text(wire::encode(agent), wire::BlobText::kBase64);
    return metadata;
  }

  // True if the read ended COMPLETE.
  bool read(const RdmaMetadata& metadata, Buffer& target) {
    return read(metadata, target, initiator_);
  }
  bool read(const RdmaMetadata& metadata, Buffer& target, Connector& initiator) {
    auto read = initiator.begin_read(metadata, target.descriptor(),
                                     {.timeout = std::chrono::seconds(5)});
    try {
      EXPECT_TRUE(read.wait_for(testing::kSoon));
    } catch (const Error&) {
    }
    path_ = read.path();
    return read.status() == OperationStatus::kComplete;
  }

  Connector exposer_;
  Connector initiator_;
  Buffer source_{4096, kSeed};
  Buffer target_{4096};
  ReadableOperation readable_ =
      exposer_.create_readable(source_.descriptor(), {.readers = 10});
  std::string path_;
};

// As a genuine NIXL agent's.
TEST_F(ForgedMetadata, WithoutItsExtensionCannotBeViewed) {
  const RdmaMetadata metadata =
      changed([](wire::AgentMetadata& agent) { agent.extension.reset(); });
  auto view = initiator_.begin_view(metadata);
  EXPECT_EQ(testing::kind_of([&] { (void)view.wait_for(testing::kSoon); }),
            ErrorKind::kUnsupported);
}

TEST_F(ForgedMetadata, WithAnotherTokenCannotBeViewed) {
  const Allocation memory = Connector::allocate(4096);
  auto readable = exposer_.create_readable(memory.descriptor());
  const RdmaMetadata metadata =
      changed([](wire::AgentMetadata& agent) { agent.extension->lease.token ^= 2; },
              readable.metadata());
  auto view = initiator_.begin_view(metadata);
  EXPECT_EQ(testing::kind_of([&] { (void)view.wait_for(testing::kSoon); }),
            ErrorKind::kCancelled);
  EXPECT_EQ(readable.status(), OperationStatus::kInitialized);
}

// A process that is not the peer, a word in it that is known, and the lease is "held".
TEST_F(ForgedMetadata, DoesNotLeadSystemCallsIntoAnotherProcess) {
  const pid_t other = ::fork();
  if (other == 0)
    while (true) ::pause();
  const auto of_another_process = [&](wire::AgentMetadata& agent) {
    agent.extension->lease_table->pid = static_cast<std::uint32_t>(other);
  };
  Buffer target(4096);
  if (read(changed(of_another_process), target)) target.expect_pattern(kSeed);

  Connector another_initiator;
  Buffer untold(4096);
  read(changed([&](wire::AgentMetadata& agent) {
         of_another_process(agent);
         agent.extension->instance[0] ^= std::byte{1};  // has no local channel
       }),
       untold, another_initiator);
  EXPECT_NE(path_, "host.cma");
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
}

// Its map is known already, and of the right size.
TEST_F(ForgedMetadata, WithALargerExportDoesNotLeadOutsideTheMap) {
  const Allocation memory = Connector::allocate(4096);
  auto exposed = exposer_.create_readable(memory.descriptor(), {.readers = 10});
  Buffer target(4096);
  EXPECT_TRUE(read(exposed.metadata(), target));
  EXPECT_EQ(path_, "host.map");
  RdmaMetadata metadata = changed(
      [](wire::AgentMetadata& agent) {
        agent.extension->exports.at(0).size = 1 << 20;
        for (auto& region : agent.regions) region.size = 1 << 20;
      },
      exposed.metadata());
  metadata.descriptors.at(0).size = 1 << 20;
  Buffer large(1 << 20);
  read(metadata, large);
  EXPECT_NE(path_, "host.map");
}

TEST_F(ForgedMetadata, WithoutOurExtensionIsThatOfAGenuinePeer) {
  Buffer target(4096);
  EXPECT_TRUE(read(changed([](wire::AgentMetadata& agent) { agent.extension.reset(); }),
                   target));
  EXPECT_EQ(path_.substr(0, 5), "ucx: ");
  target.expect_pattern(kSeed);
}

TEST_F(ForgedMetadata, WithAWrongTokenReadsNothing) {
  Buffer target(4096);
  EXPECT_FALSE(read(
      changed([](wire::AgentMetadata& agent) { agent.extension->lease.token ^= 1; }),
      target));
  EXPECT_TRUE(read(readable_.metadata(), target)) << "the others go on";
}

TEST_F(ForgedMetadata, WithAWrongWordAddressIsOfALeaseThatIsOver) {
  Buffer target(4096);
  EXPECT_FALSE(read(changed([](wire::AgentMetadata& agent) {
                      agent.extension->lease.word_address += 8;
                    }),
                    target));
  EXPECT_EQ(path_, "host.cma");
}

TEST_F(ForgedMetadata, WithAnUnalignedWordAddressIsNotForSystemCalls) {
  Buffer target(4096);
  read(changed([](wire::AgentMetadata& agent) {
         agent.extension->lease.word_address = ~std::uint64_t{0};
       }),
       target);
  EXPECT_NE(path_, "host.cma");
}

}  // namespace
}  // namespace nixl_connect
