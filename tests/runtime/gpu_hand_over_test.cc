// SPDX-License-Identifier: Apache-2.0
//
// Which files of its GPUs' memory an exposing Connector hands over to whoever asks on
// its local channel: those of the chunks that a living lease has exposed, for the
// token.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/local_socket.h"
#include "base/open_files.h"
#include "nixl_connect/connector.h"
#include "runtime/gpu_memory.h"
#include "runtime/resources.h"
#include "wire/control.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::testing {
namespace {

using base::LocalSocket;
namespace stand_in = paths::cuda::stand_in;

wire::AgentMetadata agent_of(PassiveOperation& operation) {
  return wire::decode(wire::decode_blob_text(operation.metadata().nixl_metadata));
}

class GpuHandOver : public ::testing::Test {
 protected:
  void SetUp() override {
    stand_in::reset();
    const wire::AgentMetadata agent = agent_of(readable_);
    extension_ = *agent.extension;
    ASSERT_EQ(extension_.gpu_exports.size(), 1U);
    ASSERT_EQ(extension_.gpu_exports[0].chunks.size(), 2U);
    ASSERT_FALSE(extension_.gpu_exports[0].handle);
    socket_ = LocalSocket::connect("nixl_connect/" + base::to_hex(extension_.instance));
    ASSERT_TRUE(socket_);
    say(wire::Hello{"asking", agent.connection.value(), "", ""});
  }
  void TearDown() override { stand_in::reset(); }

  void say(const wire::ControlBody& body) const {
    base::Bytes payload;
    wire::append_to_payload(payload, {sender_, body});
    EXPECT_EQ(socket_->send(payload), LocalSocket::Result::kDone);
  }
  // The file, if it is granted.
  base::UniqueFd ask(const wire::Fetch& fetch) const {
    say(fetch);
    std::array<std::byte, 4096> buffer;
    pollfd event{socket_->fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&event, 1, 20'000), 1) << "no answer";
    auto received = socket_->receive(buffer);
    const auto messages = wire::split_payload(received.message);
    EXPECT_EQ(messages.size(), 1U);
    const auto body = wire::decode_control(messages.at(0)).body;
    const auto& region = std::get<wire::FetchedRegion>(body);
    EXPECT_EQ(region.what, fetch.what);
    EXPECT_EQ(region.is_granted, received.fd.get() >= 0);
    return std::move(received.fd);
  }
  bool is_granted(const wire::Fetch& fetch) const { return ask(fetch).get() >= 0; }

  wire::Fetch fetch_of(std::size_t chunk) const {
    return {extension_.lease.id, extension_.lease.token,
            wire::kGpuChunkMark | extension_.gpu_exports[0].chunks[chunk].buffer_id};
  }

  MappedMemory memory_{0, 3};
  Connector exposer_{with_stand_in()};
  // Of the second and the third chunk.
  ReadableOperation readable_ = exposer_.create_readable(
      memory_.at(2 * MappedMemory::kChunk - 10, 20), {.readers = 5});
  const wire::InstanceId sender_ = runtime::random_instance();
  wire::Extension extension_;
  std::optional<LocalSocket> socket_;
};

TEST_F(GpuHandOver, GivesTheFilesOfItsChunksForTheToken) {
  memory_.fill(memory_.at(2 * MappedMemory::kChunk - 10, 10), 8);
  memory_.fill(memory_.at(2 * MappedMemory::kChunk, 10), 9);
  for (const auto& [chunk, offset, value] :
       {std::tuple{0, MappedMemory::kChunk - 10, 8},
        std::tuple{1, std::size_t{0}, 9}}) {
    const base::UniqueFd file = ask(fetch_of(static_cast<std::size_t>(chunk)));
    ASSERT_GE(file.get(), 0);
    std::array<unsigned char, 10> bytes{};
    ASSERT_EQ(
        ::pread(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
        10);
    for (const unsigned char each : bytes) EXPECT_EQ(each, value);
  }
}

TEST_F(GpuHandOver, GivesNothingWithoutTheTokenOrForAnotherLease) {
  for (const std::uint64_t token :
       {std::uint64_t{0}, extension_.lease.token ^ 1, ~extension_.lease.token}) {
    wire::Fetch fetch = fetch_of(0);
    fetch.token = token;
    EXPECT_FALSE(is_granted(fetch));
  }
  wire::Fetch fetch = fetch_of(0);
  fetch.lease += 1;
  EXPECT_FALSE(is_granted(fetch));
  // The same word of the table.
  fetch.lease = extension_.lease.id + runtime::LeaseWords::kSlots;
  EXPECT_FALSE(is_granted(fetch));
  EXPECT_TRUE(is_granted(fetch_of(0)));
}

// Buffer ids are no secret: the one before is that of the first chunk.
TEST_F(GpuHandOver, GivesNoMemoryThatTheOperationHasNotExposed) {
  const MappedMemory other(0, 1);
  auto others = exposer_.create_readable(other.at(0, 10));
  const wire::AgentMetadata agent = agent_of(others);
  wire::Fetch fetch = fetch_of(0);
  fetch.what =
      wire::kGpuChunkMark | agent.extension->gpu_exports.at(0).chunks.at(0).buffer_id;
  EXPECT_FALSE(is_granted(fetch)) << "under the lease of another operation";
  fetch.lease = agent.extension->lease.id;
  fetch.token = agent.extension->lease.token;
  EXPECT_TRUE(is_granted(fetch));
  for (const std::uint64_t what :
       {fetch_of(0).what - 1, wire::kGpuChunkMark, ~std::uint64_t{0},
        fetch_of(0).what ^ wire::kGpuChunkMark})
    EXPECT_FALSE(is_granted({extension_.lease.id, extension_.lease.token, what}));
}

TEST_F(GpuHandOver, GivesNothingOnceTheLeaseIsOver) {
  EXPECT_TRUE(is_granted(fetch_of(0)));
  readable_.cancel();
  finish(readable_);
  EXPECT_FALSE(is_granted(fetch_of(0)));
}

TEST_F(GpuHandOver, GivesNoMemoryThatIsOtherMemoryNow) {
  memory_.renew();
  EXPECT_FALSE(is_granted(fetch_of(0)));
  EXPECT_FALSE(is_granted(fetch_of(1)));
}

TEST_F(GpuHandOver, GivesNothingWhereTheDriverRefuses) {
  stand_in::fail("cuMemExportToShareableHandle", paths::cuda::kCuNotSupported);
  EXPECT_FALSE(is_granted(fetch_of(0)));
  EXPECT_TRUE(is_granted(fetch_of(0)));
}

TEST_F(GpuHandOver, KeepsNoFileItself) {
  // When it answers, it is done with the one before.
  const wire::Fetch nothing{0, 0, wire::kGpuChunkMark};
  EXPECT_TRUE(is_granted(fetch_of(0)));
  EXPECT_FALSE(is_granted(nothing));
  const std::size_t before = count_open_files();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(is_granted(fetch_of(1)));
  EXPECT_FALSE(is_granted(nothing));
  EXPECT_TRUE(opens_at_most(before));
}

std::vector<std::size_t> chunks_in(const wire::Extension& extension) {
  std::vector<std::size_t> counts;
  for (const wire::GpuExport& each : extension.gpu_exports)
    counts.push_back(each.chunks.size());
  return counts;
}

TEST_F(GpuHandOver, NamesAChunkOnceThoughSeveralDescriptorsShareIt) {
  const MappedMemory other(0, 4);
  std::vector<Descriptor> slices;
  for (std::size_t i = 0; i < 64; ++i)
    slices.push_back(other.at(i * other.size() / 64, other.size() / 64));
  auto all = exposer_.create_readable(slices);
  EXPECT_EQ(chunks_in(*agent_of(all).extension), std::vector<std::size_t>{4});
  const std::vector<Descriptor> nested{other.at(0, 10), other.at(5, other.size() - 5)};
  auto both = exposer_.create_readable(nested);
  EXPECT_EQ(chunks_in(*agent_of(both).extension), std::vector<std::size_t>{4});
  const std::vector<Descriptor> apart{other.at(0, 10), other.at(other.size() - 5, 5)};
  auto two = exposer_.create_readable(apart);
  EXPECT_EQ(chunks_in(*agent_of(two).extension), (std::vector<std::size_t>{1, 1}));
}

TEST_F(GpuHandOver, NamesNoMoreChunksThanFit) {
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);  // the stand-in has one for each
  const MappedMemory many(0, wire::kMaxGpuChunks + 1);
  auto readable = exposer_.create_readable(many.at(0, many.size()));
  const wire::AgentMetadata agent = agent_of(readable);
  EXPECT_EQ(chunks_in(*agent.extension), std::vector<std::size_t>{wire::kMaxGpuChunks});
  EXPECT_NE(agent.extension->why_not_exported.find("too many pieces"),
            std::string::npos);
}

}  // namespace
}  // namespace nixl_connect::testing
