// SPDX-License-Identifier: Apache-2.0
//
// Operations on memory of GPUs in the order of their users' streams, by the stand-in
// for CUDA's driver.
#include "runtime/gpu_order.h"

namespace nixl_connect {

namespace {

namespace stand_in = paths::cuda::stand_in;
using paths::cuda::CuStream;
using paths::cuda::EventReach;
using paths::cuda::testing::bytes_of;
using paths::cuda::testing::Session;
using std::chrono::milliseconds;
using testing::Channel;
using testing::Child;
using testing::expect_named;
using testing::finish;
using testing::kind_of;
using testing::kSoon;
using testing::text_of;

using testing::Gpu;
using testing::GpuOrder;
using testing::with_gpus;

// Exposes memory of the first GPU with work of its stream before that:
//   read   7 is still to be written into it
//   write  what is there, 5, is still to be read
//   idle   it has, once there is the metadata
//   pages  none, of pages
//   late pages  as read, of pages
//   wait   until the CUDA thread waits for that work
int owner_role(const Channel& test) {
  Connector connector(with_gpus());
  Gpu gpu(0);
  std::unique_ptr<PassiveOperation> exposed;
  std::vector<std::byte> seen;
  while (true) {
    const std::string order = test.receive_text();
    if (order == "read") {
      gpu.fill_now(0);
      gpu.hold();
      gpu.fill(7);
      exposed = std::make_unique<PassiveOperation>(
          connector.create_readable(gpu.descriptor(), gpu.ordered()));
    } else if (order == "write") {
      gpu.fill_now(5);
      gpu.hold();
      gpu.copy_to(seen);
      exposed = std::make_unique<PassiveOperation>(
          connector.create_writable(gpu.descriptor(), gpu.ordered()));
    } else if (order == "idle") {
      gpu.fill_now(7);
      exposed = std::make_unique<PassiveOperation>(
          connector.create_readable(gpu.descriptor(), gpu.ordered()));
      gpu.finish_stream();
    } else if (order == "pages") {
      exposed =
          std::make_unique<PassiveOperation>(connector.create_readable(gpu.pages()));
    } else if (order == "late pages") {
      gpu.hold();
      gpu.fill(7);
      exposed = std::make_unique<PassiveOperation>(
          connector.create_readable(gpu.pages(), gpu.ordered()));
    } else if (order == "wait") {
      stand_in::wait_for_calls("cuEventQuery", stand_in::calls("cuEventQuery") + 3);
      test.send("waiting");
      continue;
    } else if (order == "release") {
      gpu.release();
      continue;
    } else if (order == "check") {
      // Behind the end of the write, and not before.
      exposed->wait_on(gpu.stream());
      std::vector<std::byte> written;
      gpu.copy_to(written);
      gpu.finish_stream();
      finish(*exposed);
      EXPECT_EQ(seen, bytes_of(5, Gpu::kSize));
      EXPECT_EQ(written, bytes_of(9, Gpu::kSize));
      test.send(::testing::Test::HasFailure() ? "wrong" : "right");
      continue;
    }
    test.send(exposed->metadata().to_json());
  }
}

TEST_F(GpuOrder, LetsAReadWaitForWhatTheOwnersStreamStillWrites) {
  for (int i = 0; i < 2; ++i) {
    gpu_.fill_now(1);
    auto read = connector_.begin_read(ask("read"), gpu_.descriptor());
    if (i == 0) expect_waiting();
    EXPECT_FALSE(is_terminal(read.status()));
    release_owner();
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "cuda.peer");
    expect_content(7);
  }
}

TEST_F(GpuOrder, LetsAWriteWaitForWhatTheOwnersStreamStillReads) {
  gpu_.fill_now(9);
  auto write = connector_.begin_write(gpu_.descriptor(), ask("write"));
  expect_waiting();
  release_owner();
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  owner_.channel().send("check");
  EXPECT_EQ(owner_.channel().receive_text(), "right");
}

// Which has no GPU, so that the owner moves the bytes.
class GpuOrderOfServed : public GpuOrder {
 protected:
  static std::vector<std::byte> filled(unsigned char value) {
    return bytes_of(value, Gpu::kSize);
  }

  void expect_owner_waiting() const {
    owner_.channel().send("wait");
    EXPECT_EQ(owner_.channel().receive_text(), "waiting");
  }

  Connector served_{testing::without_gpus()};
};

TEST_F(GpuOrderOfServed, LetsAReadWaitForWhatTheOwnersStreamStillWrites) {
  std::vector<std::byte> target = filled(1);
  auto read = served_.begin_read(ask("read"), Descriptor(target.data(), target.size()));
  expect_owner_waiting();
  EXPECT_FALSE(is_terminal(read.status()));
  EXPECT_EQ(target, filled(1));
  release_owner();
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(target, filled(7));
}

TEST_F(GpuOrderOfServed, LetsAWriteWaitForWhatTheOwnersStreamStillReads) {
  std::vector<std::byte> source = filled(9);
  auto write =
      served_.begin_write(Descriptor(source.data(), source.size()), ask("write"));
  expect_owner_waiting();
  EXPECT_FALSE(is_terminal(write.status()));
  release_owner();
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  owner_.channel().send("check");
  EXPECT_EQ(owner_.channel().receive_text(), "right");
}

TEST_F(GpuOrder, IsNoMatterOfPeersOnceTheStreamHasDoneItsWork) {
  auto read = connector_.begin_read(ask("idle"), gpu_.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  expect_content(7);
  EXPECT_EQ(stand_in::calls("cuIpcOpenEventHandle"), 0U);
}

TEST_F(GpuOrder, DoesNotKeepWhatIsCancelled) {
  auto read = connector_.begin_read(ask("read"), gpu_.descriptor());
  expect_waiting();
  read.cancel();
  EXPECT_EQ(finish(read), OperationStatus::kCancelled);
}

TEST_F(GpuOrder, DoesNotWaitForAProcessThatIsGone) {
  auto read = connector_.begin_read(ask("read"), gpu_.descriptor());
  expect_waiting();
  owner_.kill();
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST_F(GpuOrder, HoldsWithinAProcess) {
  Connector exposer(with_gpus());
  Gpu source(0);
  source.hold();
  source.fill(7);
  auto readable = exposer.create_readable(source.descriptor(), source.ordered());
  auto read = connector_.begin_read(readable.metadata(), gpu_.descriptor());
  expect_waiting();
  source.release();
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  expect_content(7);
  EXPECT_EQ(stand_in::calls("cuIpcOpenEventHandle"), 0U);
}

TEST_F(GpuOrder, LetsAReadWaitForWhatItsOwnStreamDoesToTheTarget) {
  std::vector<std::byte> before;
  gpu_.fill_now(3);
  gpu_.hold();
  gpu_.copy_to(before);
  auto read = connector_.begin_read(ask("idle"), gpu_.descriptor(), gpu_.ordered());
  expect_waiting();
  gpu_.release();
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(before, bytes_of(3, Gpu::kSize));
  expect_content(7);
}

TEST_F(GpuOrder, LetsAWriteWaitForWhatItsOwnStreamMakes) {
  gpu_.hold();
  gpu_.fill(9);
  const RdmaMetadata remote = ask("write");
  release_owner();
  auto write = connector_.begin_write(gpu_.descriptor(), remote, gpu_.ordered());
  expect_waiting();
  gpu_.release();
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  owner_.channel().send("check");
  EXPECT_EQ(owner_.channel().receive_text(), "right");
}

TEST_F(GpuOrder, LetsStreamsWaitForARead) {
  auto read = connector_.begin_read(ask("read"), gpu_.descriptor(), gpu_.ordered());
  std::vector<std::byte> seen;
  read.wait_on(gpu_.stream());
  gpu_.copy_to(seen);
  expect_waiting();
  EXPECT_FALSE(gpu_.is_stream_idle());
  release_owner();
  gpu_.finish_stream();
  EXPECT_EQ(seen, bytes_of(7, Gpu::kSize));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  const unsigned waits = stand_in::calls("cuStreamWaitValue32");
  read.wait_on(gpu_.stream());
  EXPECT_EQ(stand_in::calls("cuStreamWaitValue32"), waits) << "it is over";
}

// The source is written to again behind the transfer.
TEST_F(GpuOrder, LetsStreamsWaitForAWrite) {
  gpu_.fill_now(9);
  auto write = connector_.begin_write(gpu_.descriptor(), ask("write"), gpu_.ordered());
  write.wait_on(gpu_.stream());
  gpu_.fill(1);
  expect_waiting();
  release_owner();
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  owner_.channel().send("check");
  EXPECT_EQ(owner_.channel().receive_text(), "right");
  gpu_.finish_stream();
  expect_content(1);
}

TEST_F(GpuOrder, LetsStreamsGoOnHoweverTheOperationEnds) {
  const auto begin = [&] {
    auto read = std::make_unique<ReadOperation>(
        connector_.begin_read(ask("read"), gpu_.descriptor(), gpu_.ordered()));
    read->wait_on(gpu_.stream());
    EXPECT_FALSE(gpu_.is_stream_idle());
    return read;
  };
  begin()->cancel();
  gpu_.finish_stream();
  begin();  // and dropped
  gpu_.finish_stream();
  const auto failing = begin();
  owner_.kill();
  gpu_.finish_stream();
  EXPECT_EQ(kind_of([&] { (void)failing->wait_for(kSoon); }), ErrorKind::kDisconnected);
  auto readable = connector_.create_readable(gpu_.descriptor());
  readable.wait_on(gpu_.stream());
  EXPECT_FALSE(gpu_.is_stream_idle());
  connector_.close();
  gpu_.finish_stream();
}

// Who cannot tell of its events waits itself, and not before somebody is to be told.
TEST_F(GpuOrder, IsKeptByTheOwnerWhereEventsHaveNoHandles) {
  stand_in::set_event_handles(false);
  Connector exposer(with_gpus());
  Gpu source(0);
  source.hold();
  source.fill(7);
  auto readable = exposer.create_readable(source.descriptor(), source.ordered());
  auto metadata =
      std::async(std::launch::async, [&] { return readable.metadata().to_json(); });
  expect_waiting();
  EXPECT_EQ(metadata.wait_for(milliseconds(0)), std::future_status::timeout);
  source.release();
  auto read =
      connector_.begin_read(RdmaMetadata::from_json(metadata.get()), gpu_.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  expect_content(7);
}

TEST_F(GpuOrder, IsKeptOfNixlAgentsByTheKeysOrByWaiting) {
  gpu_.hold();
  const Session session(1);
  runtime::Readiness readiness{
      paths::cuda::record_point(session.driver, 1,
                                static_cast<CuStream>(gpu_.stream().handle),
                                EventReach::kAllProcesses),
      {}};
  wire::AgentMetadata agent;
  agent.extension.emplace();
  agent.regions = {{wire::MemoryType::kVram, 1, 2, 0, base::Bytes(3)},
                   {wire::MemoryType::kDram, 1, 2, 0, base::Bytes(4)}};
  wire::AgentMetadata of_connectors = agent;
  readiness.tell(of_connectors);
  EXPECT_TRUE(of_connectors.extension->ready);
  EXPECT_TRUE(of_connectors.regions[0].rkey.empty());
  EXPECT_EQ(of_connectors.regions[1].rkey.size(), 4U);
  readiness.waits_for_agents = true;
  auto told = std::async(std::launch::async, [&] { readiness.tell(agent); });
  expect_waiting();
  EXPECT_EQ(told.wait_for(milliseconds(0)), std::future_status::timeout);
  gpu_.release();
  told.get();
  EXPECT_FALSE(agent.extension->ready);
  EXPECT_EQ(agent.regions[0].rkey.size(), 3U);
  readiness.waits_for_agents = false;
  readiness.tell(agent);
  EXPECT_EQ(agent.regions[0].rkey.size(), 3U) << "it is ready";
}

void expect_refused(const std::string& part, const std::function<void()>& call) {
  EXPECT_EQ(kind_of(call), ErrorKind::kInvalidArgument);
  expect_named(text_of(call), part);
}

TEST_F(GpuOrder, IsForMemoryOfGpusOnly) {
  std::vector<std::byte> host(64);
  const Descriptor descriptor(host.data(), host.size());
  auto readable = connector_.create_readable(descriptor);
  Connector other(with_gpus());
  const char* const refusal = "a stream orders operations on memory of a GPU";
  expect_refused(refusal, [&] {
    (void)connector_.create_writable(descriptor, {.stream = CudaStream{}});
  });
  expect_refused(refusal, [&] {
    (void)other.begin_read(readable.metadata(), descriptor, {.stream = CudaStream{}});
  });
  expect_refused("which no stream orders", [&] {
    (void)other.begin_view(readable.metadata(), {.stream = CudaStream{}});
  });
  expect_refused("streams wait for operations on memory of a GPU only",
                 [&] { readable.wait_on({}); });
}

TEST_F(GpuOrder, IsNotThatOfAnotherGpusStream) {
  const Gpu other(0);
  expect_refused("the stream is none of GPU 1", [&] {
    (void)connector_.create_readable(gpu_.descriptor(), other.ordered());
  });
  auto readable = connector_.create_readable(gpu_.descriptor(), gpu_.ordered());
  EXPECT_EQ(text_of([&] { readable.wait_on(gpu_.stream()); }), "nothing");
}

TEST_F(GpuOrder, CannotComeBehindAReadableThatStaysOpen) {
  auto readable = connector_.create_readable(gpu_.descriptor(), {.stays_open = true});
  expect_refused("no stream can wait for a readable that stays open",
                 [&] { readable.wait_on(gpu_.stream()); });
}

}  // namespace

namespace testing {

int run_role(std::string_view, const Channel& test) { return owner_role(test); }

}  // namespace testing
}  // namespace nixl_connect
