// SPDX-License-Identifier: Apache-2.0
//
// Operations on memory of GPUs, by the stand-in for CUDA's driver.
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/cuda/session.h"
#include "paths/cuda/stand_in/control.h"
#include "runtime/buffers.h"
#include "runtime/gpu_pages.h"
#include "runtime/losing.h"
#include "support/child.h"

namespace nixl_connect {

namespace {

namespace stand_in = paths::cuda::stand_in;
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

ConnectorOptions with_gpus() {
  ConnectorOptions options = testing::across_processes();
  options.cuda_driver = stand_in::file();
  return options;
}

Descriptor on_gpu(int device, paths::cuda::CuDevicePointer address, std::size_t size) {
  return {reinterpret_cast<void*>(address), size, Device(DeviceKind::kCuda, device)};
}

std::string name_of_this_thread() {
  std::array<char, 16> name{};
  ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  return name.data();
}

// Memory of one GPU, whose pages do not touch each other.
class Scattered {
 public:
  static constexpr std::size_t kCount = 300;
  static constexpr std::size_t kPage = 1001;
  static constexpr std::size_t kStride = 1100;
  static constexpr std::size_t kSize = kCount * kStride;

  Scattered(int device, unsigned char value)
      : device_(device),
        session_(device),
        memory_(paths::cuda::allocate(session_.driver, kSize)) {
    fill(value);
  }

  void fill(unsigned char value) const { session_.fill(memory_.get(), value, kSize); }
  // In another order than that of their addresses.
  std::vector<Descriptor> descriptors() const {
    std::vector<Descriptor> pages;
    for (std::size_t i = 0; i < kCount; ++i)
      pages.push_back(on_gpu(device_, memory_.get() + i * 7 % kCount * kStride, kPage));
    return pages;
  }
  Descriptor whole() const { return on_gpu(device_, memory_.get(), kSize); }
  // Each page has the first value, all between them the second.
  void expect(unsigned char pages, unsigned char rest) const {
    auto expected = bytes_of(rest, kSize);
    for (std::size_t i = 0; i < kCount; ++i)
      std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(i * kStride), kPage,
                  static_cast<std::byte>(pages));
    EXPECT_EQ(session_.read(memory_.get(), kSize), expected);
  }

 private:
  const int device_;
  const Session session_;
  const paths::cuda::DeviceMemory memory_;
};

// Has pages of the first GPU, with 7 in each byte, and exposes them for reading and for
// writing, as it is told to.
int owner_role(const Channel& test) {
  Connector connector(with_gpus());
  auto pages = std::make_unique<Scattered>(0, 7);
  std::unique_ptr<ReadableOperation> readable;
  std::unique_ptr<WritableOperation> writable;
  while (true) {
    const std::string order = test.receive_text();
    if (order == "bye") return 0;
    if (order == "read") {
      readable = std::make_unique<ReadableOperation>(
          connector.create_readable(pages->descriptors()));
      test.send(readable->metadata().to_json());
    } else if (order == "write") {
      writable = std::make_unique<WritableOperation>(
          connector.create_writable(pages->descriptors()));
      test.send(writable->metadata().to_json());
    } else if (order == "check") {
      finish(*writable);
      pages->expect(9, 7);
      test.send(::testing::Test::HasFailure() ? "wrong" : "right");
    } else if (order == "renew") {
      readable.reset();
      pages.reset();
      pages = std::make_unique<Scattered>(0, 11);
      test.send("done");
    }
  }
}

class GpuMemory : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override { stand_in::reset(); }

  RdmaMetadata ask(const std::string& order) {
    owner_.channel().send(order);
    return RdmaMetadata::from_json(owner_.channel().receive_text());
  }

  // Which the GPU has been given, and does when the streams are released.
  ReadOperation begin_held_read() {
    held_ = ask("read");
    stand_in::hold_streams();
    auto read = connector_.begin_read(held_, pages_.descriptors());
    stand_in::wait_for_calls("cuStreamWriteValue32", 1);
    return read;
  }

  Child owner_{"owner"};
  const Scattered pages_{1, 1};
  Connector connector_{with_gpus()};
  RdmaMetadata held_;  // of the last held read
};

TEST_F(GpuMemory, OfAnotherProcessIsRead) {
  for (int i = 0; i < 3; ++i) {
    pages_.fill(1);
    auto read = connector_.begin_read(ask("read"), pages_.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "cuda.peer");
    EXPECT_EQ(read.bytes_transferred(), Scattered::kCount * Scattered::kPage);
    pages_.expect(7, 1);
  }
  EXPECT_EQ(stand_in::calls("cuIpcOpenMemHandle"), 1U) << "kept open";
}

TEST_F(GpuMemory, OfAnotherProcessIsReadIntoEachGpu) {
  for (const int gpu : {0, 1, 0}) {
    const Scattered pages(gpu, 1);
    auto read = connector_.begin_read(ask("read"), pages.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    pages.expect(7, 1);
  }
  EXPECT_EQ(stand_in::calls("cuIpcOpenMemHandle"), 2U) << "one for each context";
}

TEST_F(GpuMemory, OfAnotherProcessIsWrittenTo) {
  pages_.fill(9);
  auto write = connector_.begin_write(pages_.descriptors(), ask("write"));
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  owner_.channel().send("check");
  EXPECT_EQ(owner_.channel().receive_text(), "right");
}

TEST_F(GpuMemory, ThatIsNewUnderItsAddressIsOpenedAnew) {
  for (const unsigned char value : {7, 11}) {
    pages_.fill(1);
    auto read = connector_.begin_read(ask("read"), pages_.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    pages_.expect(value, 1);
    owner_.channel().send("renew");
    owner_.channel().receive();
  }
}

TEST_F(GpuMemory, OfThisProcessNeedsNoHandle) {
  const Scattered source(0, 5);
  Connector other(with_gpus());
  for (Connector* const exposer : {&other, &connector_}) {
    pages_.fill(1);
    auto readable = exposer->create_readable(source.descriptors());
    auto read = connector_.begin_read(readable.metadata(), pages_.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(finish(readable), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "cuda.peer");
    pages_.expect(5, 1);
  }
  EXPECT_EQ(stand_in::calls("cuIpcOpenMemHandle"), 0U);
}

TEST_F(GpuMemory, IsQuietWhenACancelledOperationHasEnded) {
  auto read = begin_held_read();
  read.cancel();
  EXPECT_FALSE(read.wait_for(milliseconds(100))) << "the GPU still has it";
  stand_in::release_streams();
  EXPECT_EQ(finish(read), OperationStatus::kCancelled);
}

// If nobody waits and nobody else has the turn.
TEST_F(GpuMemory, HasTheEndOfItsCopySeenByTheCudaThread) {
  std::string thread;
  for (int i = 0; i < 50 && thread != "nixl_cuda"; ++i) {
    auto read = begin_held_read();
    std::promise<std::string> seen;
    read.on_complete([&](OperationStatus) { seen.set_value(name_of_this_thread()); },
                     CallOn::kAnyThread);
    stand_in::release_streams();
    thread = seen.get_future().get();
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
  }
  EXPECT_EQ(thread, "nixl_cuda");
}

// What cannot be opened is told before the Connector has heard of the peer's end: a
// turn is kept up meanwhile.
TEST_F(GpuMemory, OfAProcessThatIsGoneCannotBeOpened) {
  const RdmaMetadata remote = ask("read");
  stand_in::hold_calls("cuIpcOpenMemHandle");
  auto read = connector_.begin_read(remote, pages_.descriptors());
  stand_in::wait_for_calls("cuIpcOpenMemHandle", 1);
  auto other = connector_.create_readable(pages_.descriptors());
  std::promise<void> is_in_turn;
  std::promise<void> may_leave;
  other.on_complete(
      [&](OperationStatus) {
        is_in_turn.set_value();
        may_leave.get_future().wait();
      },
      CallOn::kAnyThread);
  other.cancel();
  is_in_turn.get_future().wait();
  owner_.kill();
  const unsigned pops = stand_in::calls("cuCtxPopCurrent");
  stand_in::release_calls();
  stand_in::wait_for_calls("cuCtxPopCurrent", pops + 1);
  may_leave.set_value();
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST_F(GpuMemory, OfThisProcessIsLeftAloneOnceItIsNotExposed) {
  const Scattered source(0, 5);
  auto readable = connector_.create_readable(source.descriptors());
  const RdmaMetadata remote = readable.metadata();
  readable.cancel();
  readable.wait();
  auto read = connector_.begin_read(remote, pages_.descriptors());
  EXPECT_EQ(kind_of([&] { read.wait(); }), ErrorKind::kCancelled);
}

TEST_F(GpuMemory, OfAProcessThatDiesEndsWhatIsReadOfIt) {
  auto read = begin_held_read();
  testing::kill_noticed(owner_, connector_, held_, pages_.descriptors());
  stand_in::release_streams();
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST_F(GpuMemory, OfAContextThatIsPoisonedEndsItsOperations) {
  auto read = begin_held_read();
  stand_in::poison(1, paths::cuda::kCuIllegalAddress);
  stand_in::release_streams();
  expect_named(text_of([&] { (void)read.wait_for(kSoon); }),
               "CUDA is of no further use");
  expect_named(text_of([&] { (void)connector_.create_readable(pages_.whole()); }),
               "CUDA is of no further use");
}

TEST_F(GpuMemory, IsAskedWhetherItIsWhatItsDescriptorSays) {
  std::vector<std::byte> host(64);
  const Descriptor of_host(host.data(), host.size(), Device(DeviceKind::kCuda, 0));
  expect_named(text_of([&] { (void)connector_.create_readable(of_host); }),
               "names memory that is none of a GPU");
  const Descriptor of_other = on_gpu(0, pages_.whole().ptr(), 64);
  expect_named(text_of([&] { (void)connector_.create_readable(of_other); }),
               "names memory that is on cuda:1");
}

TEST_F(GpuMemory, IsNotReadAsThatOfTheHostOrOfAnotherGpu) {
  RdmaMetadata remote = ask("read");
  for (const char* const device : {"cpu", "cuda:1"}) {
    remote.descriptors.back().device = device;
    expect_named(
        text_of([&] { (void)connector_.begin_read(remote, pages_.descriptors()); }),
        "has not exposed");
  }
}

TEST_F(GpuMemory, IsMovedThoughThereIsNothingOfIt) {
  std::vector<Descriptor> pages = pages_.descriptors();
  pages.insert(pages.begin(), on_gpu(7, pages_.whole().ptr(), 0));
  Connector other(with_gpus());
  const Scattered source(1, 6);
  std::vector<Descriptor> sources = source.descriptors();
  sources.insert(sources.begin(), on_gpu(5, source.whole().ptr(), 0));
  auto readable = other.create_readable(sources);
  auto read = connector_.begin_read(readable.metadata(), pages);
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  pages_.expect(6, 1);
  auto empty = other.create_readable(sources.front());
  auto none = connector_.begin_read(empty.metadata(), pages.front());
  EXPECT_EQ(finish(none), OperationStatus::kComplete);
}

TEST_F(GpuMemory, OfSeveralGpusIsForSeveralOperations) {
  const Scattered other(0, 2);
  const std::vector<Descriptor> both{pages_.whole(), other.whole()};
  expect_named(text_of([&] { (void)connector_.create_readable(both); }),
               "one operation takes one GPU");
}

// Which lets other GPUs in only if its owner says so.
TEST_F(GpuMemory, OfAPoolIsLeftAloneByOtherGpus) {
  const auto pool = stand_in::allocate_from_pool(0, 4096);
  Connector other(with_gpus());
  auto readable = other.create_readable(on_gpu(0, pool, 4096));
  auto read =
      connector_.begin_read(readable.metadata(), on_gpu(1, pages_.whole().ptr(), 4096));
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kUnsupported);
}

TEST_F(GpuMemory, OfAPoolIsMovedWithinThisProcess) {
  const auto pool = stand_in::allocate_from_pool(1, 4096);
  Connector other(with_gpus());
  auto readable = other.create_readable(on_gpu(1, pool, 4096));
  auto read =
      connector_.begin_read(readable.metadata(), on_gpu(1, pages_.whole().ptr(), 4096));
  EXPECT_EQ(finish(read), OperationStatus::kComplete)
      << "within this process it need not";
}

TEST(WithoutADriver, MemoryOfAGpuIsRefusedWithTheReason) {
  ConnectorOptions options = testing::across_processes();
  options.cuda_driver = "/there/is/no/libcuda.so.1";
  Connector connector(options);
  std::vector<std::byte> host(64);
  const Descriptor of_gpu(host.data(), host.size(), Device(DeviceKind::kCuda, 0));
  expect_named(text_of([&] { (void)connector.create_readable(of_gpu); }),
               "memory of cuda:0 cannot be moved: no CUDA driver");
}

}  // namespace

namespace testing {

int run_role(std::string_view name, const Channel& test) {
  return name == "pager" ? pager_role(test) : owner_role(test);
}

}  // namespace testing
}  // namespace nixl_connect
