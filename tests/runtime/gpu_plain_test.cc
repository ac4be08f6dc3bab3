// SPDX-License-Identifier: Apache-2.0
//
// Operations with plain memory of the host on one side and of a GPU on the other, by
// the stand-in for CUDA's driver.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/cuda/page_kernel_image.h"
#include "paths/cuda/stand_in/control.h"
#include "runtime/buffers.h"
#include "runtime/gpu_ranges.h"
#include "runtime/gpu_servant.h"
#include "support/child.h"

namespace nixl_connect {

namespace testing {
namespace {

namespace stand_in = paths::cuda::stand_in;
using std::chrono::milliseconds;

class Plain : public WithServant {};

// By where the local memory is and how it lies.
class PlainOf : public Plain,
                public ::testing::WithParamInterface<std::tuple<On, int>> {
 protected:
  On local() const { return std::get<0>(GetParam()); }
  On remote() const { return local() == On::kGpu ? On::kPlain : On::kGpu; }
  std::size_t number() const {
    return static_cast<std::size_t>(std::get<1>(GetParam()));
  }
  Layout layout() const { return kLayouts[number()]; }

  ReadOperation begin_held_read(const Ranges& local) {
    return Plain::begin_held_read(local, remote(), number());
  }
};

INSTANTIATE_TEST_SUITE_P(, PlainOf,
                         ::testing::Combine(::testing::Values(On::kGpu, On::kPlain),
                                            ::testing::Values(0, 1, 2)),
                         [](const auto& each) {
                           return "With" +
                                  std::string(std::get<0>(each.param) == On::kGpu
                                                  ? "Gpu"
                                                  : "Host") +
                                  "Layout" + std::to_string(std::get<1>(each.param));
                         });

TEST_P(PlainOf, IsReadOfAnotherProcess) {
  for (int i = 0; i < 2; ++i) {
    const Ranges target(local(), layout());
    auto read =
        connector_.begin_read(ask("read", remote(), number()), target.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "cuda.staged");
    EXPECT_EQ(read.bytes_transferred(), target.bytes());
    EXPECT_TRUE(target.has(Servant::kRead));
  }
}

TEST_P(PlainOf, IsWrittenToAnotherProcess) {
  const Ranges source(local(), layout());
  source.fill(Servant::kWritten);
  auto write =
      connector_.begin_write(source.descriptors(), ask("write", remote(), number()));
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  EXPECT_EQ(write.path(), "cuda.staged");
  EXPECT_EQ(order("check"), "right");
}

TEST_P(PlainOf, IsMovedWithinThisProcess) {
  const Ranges here(local(), layout());
  const Ranges there(remote(), layout(), remote() == On::kGpu ? 1 : 0);
  Connector another(with_gpus());
  for (Connector* const exposer : {&another, &connector_}) {
    here.fill(3);
    auto writable = exposer->create_writable(there.descriptors());
    auto write = connector_.begin_write(here.descriptors(), writable.metadata());
    EXPECT_EQ(finish(write), OperationStatus::kComplete);
    EXPECT_EQ(finish(writable), OperationStatus::kComplete);
    EXPECT_EQ(write.path(), "cuda.staged");
    EXPECT_TRUE(there.has(3));
    there.fill(4);
    auto readable = exposer->create_readable(there.descriptors());
    auto read = connector_.begin_read(readable.metadata(), here.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_TRUE(here.has(4));
  }
  EXPECT_EQ(stand_in::calls("cuIpcOpenMemHandle"), 0U);
}

TEST_P(PlainOf, IsQuietWhenACancelledOperationHasEnded) {
  const Ranges target(local(), layout());
  auto read = begin_held_read(target);
  read.cancel();
  EXPECT_FALSE(read.wait_for(milliseconds(50))) << "the GPU still has it";
  stand_in::release_streams();
  EXPECT_EQ(finish(read), OperationStatus::kCancelled);
}

TEST_P(PlainOf, OfAProcessThatDiesEndsWhatIsReadOfIt) {
  const Ranges target(local(), layout());
  auto read = begin_held_read(target);
  kill_owner(target);
  stand_in::release_streams();
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

TEST_P(PlainOf, OfAnOperationThatHasEndedIsNotTakenForRight) {
  const Ranges target(local(), layout());
  auto read = begin_held_read(target);
  EXPECT_EQ(order("free"), "freed");
  stand_in::release_streams();
  text_of([&] { (void)read.wait_for(kSoon); });
  // Of memory of the host, all of it may have been taken before.
  if (local() == On::kGpu && read.status() == OperationStatus::kComplete)
    EXPECT_TRUE(target.has(Servant::kRead));
  else
    EXPECT_EQ(read.status(), OperationStatus::kErrored);
}

TEST_P(PlainOf, IsLostToAContextThatIsPoisoned) {
  const Ranges target(local(), layout());
  auto read = begin_held_read(target);
  stand_in::poison(0, paths::cuda::kCuIllegalAddress);
  stand_in::release_streams();
  expect_named(text_of([&] { (void)read.wait_for(kSoon); }),
               "CUDA is of no further use");
}

TEST_F(Plain, IsMovedByOneThreadAlone) {
  ConnectorOptions options = with_gpus();
  options.copy_threads = 1;
  Connector single(options);
  const Ranges target(On::kGpu, kLayouts[2]);
  auto read = single.begin_read(ask("read", On::kPlain, 2), target.descriptors());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_TRUE(target.has(Servant::kRead));
}

TEST_F(Plain, MayBeFresh) {
  constexpr std::size_t kSize = (9 << 20) + 11;
  const paths::cuda::testing::Session session;
  const auto gpu = paths::cuda::allocate(session.driver, kSize);
  session.fill(gpu.get(), 6, kSize);
  void* const fresh = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(fresh, MAP_FAILED);
  Connector another(with_gpus());
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  auto readable = another.create_readable(Descriptor(
      reinterpret_cast<void*>(gpu.get()), kSize, Device(DeviceKind::kCuda, 0)));
  auto read = connector_.begin_read(readable.metadata(), Descriptor(fresh, kSize));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  const auto* const bytes = static_cast<const std::byte*>(fresh);
  EXPECT_EQ(std::count(bytes, bytes + kSize, std::byte{6}),
            static_cast<std::ptrdiff_t>(kSize));
  ::munmap(fresh, kSize);
}

// Memory of the first GPU, which a stream of it fills.
class Filled {
 public:
  static constexpr std::size_t kSize = 700'000;

  Descriptor descriptor() const {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return {reinterpret_cast<void*>(memory_.get()), kSize,
            Device(DeviceKind::kCuda, 0)};
  }
  OperationOptions begin_filling(unsigned char value) const {
    session_.functions.memset_async(memory_.get(), value, kSize, session_.stream());
    OperationOptions options;
    options.stream = CudaStream{session_.stream()};
    return options;
  }

 private:
  const Session session_;
  const paths::cuda::DeviceMemory memory_ =
      paths::cuda::allocate(session_.driver, kSize);
};

TEST_F(Plain, WaitsForTheStreamsOfBothSides) {
  const Filled gpu;
  std::vector<std::byte> plain(Filled::kSize);
  const Descriptor of_host(plain.data(), plain.size());
  Connector another(with_gpus());
  const auto has_waited = [] {
    stand_in::wait_for_calls("cuEventQuery", stand_in::calls("cuEventQuery") + 3);
    return stand_in::calls("cuMemcpyDtoHAsync") == 0;
  };
  {
    auto writable = another.create_writable(of_host);
    stand_in::hold_streams();
    auto write = connector_.begin_write(gpu.descriptor(), writable.metadata(),
                                        gpu.begin_filling(3));
    EXPECT_TRUE(has_waited());
    stand_in::release_streams();
    EXPECT_EQ(finish(write), OperationStatus::kComplete);
    EXPECT_EQ(plain, bytes_of(3, plain.size()));
  }
  stand_in::reset();
  stand_in::hold_streams();
  auto readable = another.create_readable(gpu.descriptor(), gpu.begin_filling(4));
  auto read = connector_.begin_read(readable.metadata(), of_host);
  EXPECT_TRUE(has_waited());
  stand_in::release_streams();
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(plain, bytes_of(4, plain.size()));
}

TEST_F(Plain, IsCancelledWhileItWaitsForAStream) {
  const Filled gpu;
  std::vector<std::byte> plain(Filled::kSize);
  Connector another(with_gpus());
  auto writable = another.create_writable(Descriptor(plain.data(), plain.size()));
  stand_in::hold_streams();
  auto write = connector_.begin_write(gpu.descriptor(), writable.metadata(),
                                      gpu.begin_filling(3));
  stand_in::wait_for_calls("cuEventQuery", 3);
  write.cancel();
  EXPECT_EQ(finish(write), OperationStatus::kCancelled);
  EXPECT_EQ(plain, bytes_of(0, plain.size()));
  stand_in::release_streams();
}

TEST_F(Plain, LeavesMultiprocessorsAloneIfItIsToldSo) {
  for (const bool may_use_them : {false, true}) {
    const Ranges target(On::kGpu, kLayouts[1]);
    OperationOptions options;
    options.sm = may_use_them;
    auto read = connector_.begin_read(ask("read", On::kPlain, 1), target.descriptors(),
                                      options);
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_TRUE(target.has(Servant::kRead));
    const bool does_use_them = may_use_them && paths::cuda::has_page_kernel();
    EXPECT_EQ(stand_in::calls("cuLaunchKernel") > 0, does_use_them);
  }
}

TEST_F(Plain, StandsInForMemoryThatCannotBePinned) {
  const Ranges target(On::kGpu, kLayouts[1]);
  {  // that the stream has its word, and the kernel its lists
    auto first = connector_.begin_read(ask("read", On::kHost, 1), target.descriptors());
    EXPECT_EQ(finish(first), OperationStatus::kComplete);
  }
  const RdmaMetadata metadata = ask("read", On::kHost, 1);
  target.fill(0);
  stand_in::fail("cuMemHostRegister", paths::cuda::kCuOutOfMemory);
  auto read = connector_.begin_read(metadata, target.descriptors());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "cuda.staged");
  EXPECT_TRUE(target.has(Servant::kRead));
}

// The kernel lets the one look into the other at first.
TEST_F(Plain, OfAProcessThatNobodyMayLookIntoIsRefusedWithWhatWouldHelp) {
  const Child initiator("owner");
  const auto tell = [&](const std::string& text) {
    initiator.channel().send(text);
    return initiator.channel().receive_text();
  };
  if (order("show") != "shown" || tell("show") != "shown")
    GTEST_SKIP() << "this user cannot become another one";
  const auto pull = [&] { return tell("pull gpu 1 " + order("read plain 1")); };
  EXPECT_EQ(pull(), "cuda.staged");
  ASSERT_EQ(order("hide"), "hidden");
  for (int i = 0; i < 2; ++i) {
    const std::string text = pull();
    expect_named(text, "cuda.staged: the kernel does not let this process touch");
    expect_named(text, "take memory of Connector::allocate()");
  }
  EXPECT_EQ(tell("pull gpu 1 " + order("read host 1")), "cuda.staged");
}

}  // namespace

int run_role(std::string_view, const Channel& test) {
  Servant servant;
  while (true) test.send(servant.carry_out(test.receive_text()));
}

}  // namespace testing
}  // namespace nixl_connect
