// SPDX-License-Identifier: Apache-2.0
//
// Reads into memory that was never touched: it has the pages that the options say, and
// the bytes arrive.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>

#include "nixl_connect/connector.h"
#include "paths/host/own_pages.h"
#include "runtime/buffers.h"

namespace nixl_connect {
namespace {

using testing::finish;
using testing::mode_of_huge_pages;
using testing::pages_of_mapping;

class FreshTarget : public ::testing::Test {
 protected:
  static constexpr std::size_t kSize = (48 << 20) + 77;
  static constexpr std::size_t kMiddle = 24 << 20;

  FreshTarget()
      : target_(::mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  ~FreshTarget() override { ::munmap(target_, kSize); }

  std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(target_); }

  void read_it(const ConnectorOptions& options, const Descriptor& source) {
    ASSERT_NE(target_, MAP_FAILED);
    Connector initiator(options);
    auto readable = exposer_.create_readable(source);
    auto read = initiator.begin_read(readable.metadata(), {target_, kSize});
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(std::memcmp(target_, reinterpret_cast<const void*>(source.ptr()), kSize),
              0);
  }

  void expect_huge_pages() const {
    const auto pages = pages_of_mapping(address() + kMiddle);
    EXPECT_TRUE(pages.is_advised);
    EXPECT_GT(pages.huge_kib, 0U);
  }

 private:
  void* const target_;
  Connector exposer_{ConnectorOptions::from_environment()};
};

TEST_F(FreshTarget, HasHugePages) {
  if (const auto mode = mode_of_huge_pages(); mode != "madvise")
    GTEST_SKIP() << "huge pages are not given to whom asks: " << mode;
  testing::Buffer source(kSize, 3);
  read_it(ConnectorOptions::from_environment(), source.descriptor());
  expect_huge_pages();
}

TEST_F(FreshTarget, HasHugePagesOfMemoryThatIsMapped) {
  if (const auto mode = mode_of_huge_pages(); mode != "madvise")
    GTEST_SKIP() << "huge pages are not given to whom asks: " << mode;
  const Allocation source = Connector::allocate(kSize);
  std::memset(source.data(), 5, kSize);
  read_it(ConnectorOptions::from_environment(), source.descriptor());
  expect_huge_pages();
}

TEST_F(FreshTarget, HasSmallPagesIfItIsNotToBeAdvised) {
  if (mode_of_huge_pages() == "always")
    GTEST_SKIP() << "all memory has huge pages on this system";
  testing::Buffer source(kSize, 4);
  ConnectorOptions options = ConnectorOptions::from_environment();
  options.advise_huge_pages = false;
  read_it(options, source.descriptor());
  EXPECT_FALSE(pages_of_mapping(address() + kMiddle).is_advised);
  EXPECT_EQ(pages_of_mapping(address() + kMiddle).huge_kib, 0U);
}

TEST_F(FreshTarget, OfAnAllocationIsRead) {
  const Allocation target = Connector::allocate(kSize);
  testing::Buffer source(kSize, 6);
  Connector exposer{ConnectorOptions::from_environment()};
  Connector initiator{ConnectorOptions::from_environment()};
  auto readable = exposer.create_readable(source.descriptor());
  auto read = initiator.begin_read(readable.metadata(), target.descriptor());
  ASSERT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(std::memcmp(target.data(), source.data(), kSize), 0);
}

}  // namespace
}  // namespace nixl_connect
