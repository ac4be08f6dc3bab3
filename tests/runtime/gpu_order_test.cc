// SPDX-License-Identifier: Apache-2.0
//
// Operations on memory of GPUs in the order of their users' streams, by the stand-in
// for CUDA's driver.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/cuda/end_flag.h"
#include "paths/cuda/session.h"
#include "paths/cuda/stand_in/control.h"
#include "paths/cuda/stream_points.h"
#include "runtime/buffers.h"
#include "runtime/readiness.h"
#include "support/child.h"
#include "wire/nixl_blob.h"

namespace nixl_connect {

const paths::cuda::Driver& paths::cuda::testing::driver_under_test() {
  return *open_driver(stand_in::file()).driver;
}

namespace {

namespace stand_in = paths::cuda::stand_in;
using paths::cuda::CuStream;
using paths::cuda::EventReach;
using paths::cuda::testing::bytes_of;
using paths::cuda::testing::Session;
using std::chrono::milliseconds;
using testing::Channel;
using testing::Child;
using testing::finish;
using testing::kind_of;
using testing::kSoon;

ConnectorOptions with_gpus() {
  ConnectorOptions options = testing::across_processes();
  options.cuda_driver = stand_in::file();
  return options;
}

// Memory of one GPU, and a stream there which can be held up.
class Gpu {
 public:
  static constexpr std::size_t kSize = 10'000;

  explicit Gpu(int device)
      : session_(device),
        memory_(paths::cuda::allocate(session_.driver, kSize)),
        device_(device) {
    fill_now(0);
  }

  Descriptor descriptor() const { return part(0, kSize); }
  // So many that they go by the kernel.
  std::vector<Descriptor> pages() const {
    std::vector<Descriptor> pages;
    for (std::size_t i = 0; i < 50; ++i) pages.push_back(part(i * 100, 90));
    return pages;
  }
  CudaStream stream() const { return {session_.stream()}; }
  OperationOptions ordered() const { return {.timeout = kSoon, .stream = stream()}; }

  // What the stream is given from now on is done after release().
  void hold() {
    flag_ = paths::cuda::EndFlag(session_.driver, device_);
    flag_.wait().put_on(session_.stream());
  }
  void release() { flag_.raise(); }

  // By the stream, when it comes to it.
  void fill(unsigned char value) const {
    EXPECT_EQ(
        session_.functions.memset_async(memory_.get(), value, kSize, session_.stream()),
        paths::cuda::kCuSuccess);
  }
  void copy_to(std::vector<std::byte>& bytes) {
    pinned_ = {};
    bytes.resize(kSize);
    // Otherwise the call would wait for the stream.
    pinned_ = paths::cuda::register_memory(session_.driver, bytes.data(), kSize);
    EXPECT_EQ(session_.functions.memcpy_dtoh_async(bytes.data(), memory_.get(), kSize,
                                                   session_.stream()),
              paths::cuda::kCuSuccess);
  }
  void finish_stream() const { session_.finish(); }
  bool is_stream_idle() const {
    return session_.functions.stream_query(session_.stream()) ==
           paths::cuda::kCuSuccess;
  }

  // At once.
  void fill_now(unsigned char value) const {
    Session(device_).fill(memory_.get(), value, kSize);
  }
  std::vector<std::byte> content() const {
    return Session(device_).read(memory_.get(), kSize);
  }

 private:
  Descriptor part(std::size_t offset, std::size_t size) const {
    return {reinterpret_cast<void*>(memory_.get() + offset), size,
            Device(DeviceKind::kCuda, device_)};
  }

  const Session session_;
  const paths::cuda::DeviceMemory memory_;
  const int device_;
  paths::cuda::EndFlag flag_;
  paths::cuda::RegisteredMemory pinned_;
};

// Exposes memory of the first GPU with work of its stream before that:
//   read   7 is still to be written into it
//   write  what is there, 5, is still to be read
//   idle   it has, once there is the metadata
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

class GpuOrder : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override {
    connector_.close();
    stand_in::reset();
  }

  RdmaMetadata ask(const std::string& order) {
    owner_.channel().send(order);
    return RdmaMetadata::from_json(owner_.channel().receive_text());
  }
  void release_owner() { owner_.channel().send("release"); }

  // The CUDA thread has asked for the event, and copied nothing.
  static void expect_waiting() {
    stand_in::wait_for_calls("cuEventQuery", stand_in::calls("cuEventQuery") + 3);
    EXPECT_EQ(stand_in::calls("cuMemcpyDtoDAsync"), 0U);
  }
  void expect_content(unsigned char value) const {
    EXPECT_EQ(gpu_.content(), bytes_of(value, Gpu::kSize));
  }

  Child owner_{"owner"};
  Gpu gpu_{1};
  Connector connector_{with_gpus()};
};

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

// To load the kernel waits for the stream, which waits for the read.
TEST_F(GpuOrder, LetsStreamsGoOnForWhichTheDriverWaits) {
  Connector exposer(with_gpus());
  const Gpu source(0);
  stand_in::set_loading_waits(true);
  gpu_.hold();
  auto readable = exposer.create_readable(source.pages());
  auto read = connector_.begin_read(readable.metadata(), gpu_.pages(),
                                    {.timeout = milliseconds(100)});
  read.wait_on(gpu_.stream());
  stand_in::wait_for_calls("cuModuleLoadData", 1);
  gpu_.release();
  gpu_.finish_stream();
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kTimedOut);
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

// What a call throws.
std::string text_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::string(to_string(error.kind())) + ": " + error.what();
  }
  return "nothing";
}

void expect_refused(const std::string& part, const std::function<void()>& call) {
  const std::string text = text_of(call);
  EXPECT_TRUE(text.starts_with(to_string(ErrorKind::kInvalidArgument))) << text;
  EXPECT_NE(text.find(part), std::string::npos) << text;
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
