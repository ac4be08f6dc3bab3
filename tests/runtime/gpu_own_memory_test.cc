// SPDX-License-Identifier: Apache-2.0
//
// What a Connector knows of the GPU memory of its own process, and that it gives none
// back that a GPU still has.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/local/exposures.h"
#include "runtime/gpu_memory.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::testing {
namespace {

namespace stand_in = paths::cuda::stand_in;
using paths::cuda::DeviceMemory;
using std::chrono::milliseconds;

constexpr std::size_t kSize = 1 << 20;
constexpr const char* kAsk = "cuPointerGetAttributes";

class GpuMemoryOfThisProcess : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override { stand_in::reset(); }

  static Descriptor at(const DeviceMemory& memory, std::size_t offset, std::size_t size,
                       std::shared_ptr<const void> owner = nullptr) {
    return {reinterpret_cast<void*>(memory.get() + offset), size,
            Device(DeviceKind::kCuda, 0), std::move(owner)};
  }
  void expose_once(const Descriptor& memory) {
    auto readable = connector_.create_readable(memory);
    readable.cancel();
    finish(readable);
  }
  static wire::Extension extension_of(PassiveOperation& operation) {
    return *wire::decode(wire::decode_blob_text(operation.metadata().nixl_metadata))
                .extension;
  }
  static std::uint64_t buffer_id_of(PassiveOperation& operation) {
    return extension_of(operation).gpu_exports.at(0).chunks.at(0).buffer_id;
  }

  const paths::cuda::testing::Session session_{0};
  const DeviceMemory source_ = paths::cuda::allocate(session_.driver, kSize);
  const DeviceMemory target_ = paths::cuda::allocate(session_.driver, kSize);
  Connector exposer_{with_stand_in()};
  Connector connector_{with_stand_in()};
};

TEST_F(GpuMemoryOfThisProcess, IsAskedAboutOnceForAnOwner) {
  const auto owner = std::make_shared<int>();
  expose_once(at(source_, 0, kSize, owner));
  const unsigned before = stand_in::calls(kAsk);
  for (int i = 0; i < 10; ++i) expose_once(at(source_, 0, kSize, owner));
  EXPECT_EQ(stand_in::calls(kAsk), before);
  expose_once(at(source_, 0, kSize, std::make_shared<int>()));
  EXPECT_GT(stand_in::calls(kAsk), before) << "another owner";
  const unsigned then = stand_in::calls(kAsk);
  expose_once(at(source_, 0, kSize));
  EXPECT_GT(stand_in::calls(kAsk), then) << "no owner";
}

// As an allocator does that lets its memory sleep, and wakes it under its addresses.
TEST_F(GpuMemoryOfThisProcess, ThatIsMappedAnewForItsOwnerIsNoticed) {
  MappedMemory memory(0, 1);
  const auto owner = std::make_shared<int>();
  const Descriptor plain = memory.at(0, 100);
  const Descriptor owned(reinterpret_cast<void*>(plain.ptr()), plain.size(),
                         plain.device(), owner);
  auto before = connector_.create_readable(owned);
  memory.renew();
  auto after = connector_.create_readable(owned);
  EXPECT_NE(buffer_id_of(before), buffer_id_of(after));
  auto same = connector_.create_readable(owned);
  EXPECT_EQ(buffer_id_of(after), buffer_id_of(same));
}

// Whoever drops an operation gets its memory back before its end, which comes later.
TEST_F(GpuMemoryOfThisProcess, ThatIsNewUnderItsAddressIsNotTakenForTheOld) {
  DeviceMemory memory = paths::cuda::allocate(session_.driver, 12'345);
  auto before = connector_.create_readable(at(memory, 0, 100));
  const auto address = memory.get();
  memory = {};
  memory = paths::cuda::allocate(session_.driver, 12'345);
  ASSERT_EQ(memory.get(), address);
  auto after = connector_.create_readable(at(memory, 0, 100));
  EXPECT_NE(buffer_id_of(before), buffer_id_of(after));
}

TEST_F(GpuMemoryOfThisProcess, IsNoTargetOfItself) {
  session_.fill(source_.get(), 7, kSize);
  auto readable = exposer_.create_readable(at(source_, 0, kSize / 2));
  EXPECT_EQ(kind_of([&] {
              connector_.begin_read(readable.metadata(), at(source_, 100, kSize / 2));
            }),
            ErrorKind::kInvalidArgument);
  auto read =
      connector_.begin_read(readable.metadata(), at(source_, kSize / 2, kSize / 2));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
}

TEST_F(GpuMemoryOfThisProcess, IsNotGivenBackBeforeTheGpuIsDone) {
  session_.fill(source_.get(), 7, kSize);
  session_.fill(target_.get(), 0, kSize);
  auto readable = exposer_.create_readable(at(source_, 0, kSize));
  stand_in::hold_streams();
  auto read = connector_.begin_read(readable.metadata(), at(target_, 0, kSize));
  stand_in::wait_for_calls("cuStreamWriteValue32", 1);
  readable.cancel();
  EXPECT_FALSE(readable.wait_for(milliseconds(500))) << "longer than drain_timeout";
  // The Connector goes on with what does not concern the GPU.
  Buffer host(1000);
  auto other = exposer_.create_readable(host.descriptor());
  other.cancel();
  EXPECT_EQ(finish(other), OperationStatus::kCancelled);
  stand_in::release_streams();
  EXPECT_EQ(finish(readable), OperationStatus::kCancelled);
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kCancelled);
}

TEST_F(GpuMemoryOfThisProcess, IsLeftAloneOnceItsLeaseIsOver) {
  constexpr std::size_t kLarge = 256 << 20;  // five batches, two of them at a time
  const DeviceMemory source = paths::cuda::allocate(session_.driver, kLarge);
  const DeviceMemory target = paths::cuda::allocate(session_.driver, kLarge);
  auto readable = exposer_.create_readable(at(source, 0, kLarge));
  const auto exposure = paths::local::find(extension_of(readable).lease.token);
  stand_in::hold_streams();
  auto read = connector_.begin_read(readable.metadata(), at(target, 0, kLarge));
  stand_in::wait_for_calls("cuStreamWriteValue32", 1);
  readable.cancel();
  const auto limit = std::chrono::steady_clock::now() + kSoon;
  while (!exposure->is_over()) ASSERT_LT(std::chrono::steady_clock::now(), limit);
  stand_in::release_streams();
  EXPECT_EQ(finish(readable), OperationStatus::kCancelled);
  const unsigned given = stand_in::calls("cuMemcpyDtoDAsync");
  EXPECT_LT(given, 5U);
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kCancelled);
  EXPECT_EQ(stand_in::calls("cuMemcpyDtoDAsync"), given);
}

}  // namespace
}  // namespace nixl_connect::testing
