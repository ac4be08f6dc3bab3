// SPDX-License-Identifier: Apache-2.0
#include "nixl_connect/pages.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>

#include "base/paged_memory.h"
#include "nixl_connect/error.h"

namespace nixl_connect {
namespace {

using Indices = std::vector<std::uint64_t>;

class PagesOf : public ::testing::Test {
 protected:
  Descriptor part(std::size_t offset, std::size_t size) {
    return {bytes_.data() + offset, size, {}, owner_};
  }
  std::uintptr_t at(std::size_t offset) const {
    return reinterpret_cast<std::uintptr_t>(bytes_.data()) + offset;
  }

  std::array<char, 1000> bytes_{};
  const std::shared_ptr<const void> owner_ = std::make_shared<int>();
};

std::string refusal_of(std::vector<Descriptor> memory, std::size_t page_bytes,
                       Indices indices) {
  try {
    const Pages pages(std::move(memory), page_bytes, std::move(indices));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    return error.what();
  }
  return "taken";
}

TEST_F(PagesOf, OneDescriptorMayRepeatAndLeaveARest) {
  const Pages pages(part(0, 105), 10, {9, 0, 3, 3});
  EXPECT_EQ(pages.indices().size(), 40U);
  const auto descriptors = pages.descriptors();
  ASSERT_EQ(descriptors.size(), 4U);
  EXPECT_EQ(descriptors[0].ptr(), at(90));
  EXPECT_EQ(descriptors[1].ptr(), at(0));
  EXPECT_EQ(descriptors[3].ptr(), at(30));
  EXPECT_EQ(descriptors[3].size(), 10U);
  EXPECT_EQ(descriptors[3].owner(), owner_);
}

TEST_F(PagesOf, SeveralDescriptorsAreOfTheirBytesInOrder) {
  const Pages pages({part(500, 20), part(0, 0), part(100, 35)}, 10, {2, 1, 4, 0, 3});
  std::vector<std::uintptr_t> addresses;
  for (const Descriptor& each : pages.descriptors()) addresses.push_back(each.ptr());
  EXPECT_EQ(addresses,
            (std::vector<std::uintptr_t>{at(100), at(510), at(120), at(500), at(110)}));
}

TEST_F(PagesOf, ReadOnlyMemoryAreReadOnly) {
  const Pages pages(Descriptor::read_only(bytes_.data(), 100), 10, {1});
  EXPECT_TRUE(pages.descriptors()[0].is_read_only());
}

TEST_F(PagesOf, WhatIsNotThereAreRefused) {
  EXPECT_EQ(refusal_of({part(0, 109)}, 10, {3, 10}),
            "page 10 is outside the 10 pages of 10 bytes");
  EXPECT_EQ(refusal_of({part(0, 109)}, 10, {UINT64_MAX}),
            "page 18446744073709551615 is outside the 10 pages of 10 bytes");
  EXPECT_EQ(refusal_of({}, 10, {0}), "page 0 is outside the 0 pages of 10 bytes");
  EXPECT_EQ(refusal_of({part(0, 100)}, 0, {0}),
            "page_bytes is 0; it is a positive number");
  EXPECT_TRUE(
      refusal_of({part(0, 100)}, 10, {}).starts_with("the indices name no page"));
  EXPECT_TRUE(refusal_of({part(0, 25), part(100, 20)}, 10, {0})
                  .starts_with("descriptor 0 of 25 bytes is not a multiple"));
  EXPECT_EQ(refusal_of({part(0, 20), {bytes_.data(), 20, Device("cuda:1")}}, 10, {0}),
            "pages are taken of memory of one device, not of cpu and of cuda:1");
}

TEST_F(PagesOf, APeersMemoryNameItByItsAddresses) {
  const RdmaMetadata whole{{{"cuda:0", 1000, 40}, {"cuda:0", 5000, 40}},
                           "b64:x",
                           "key",
                           OperationKind::kRead};
  const RemotePages pages(whole, 20, {3, 0});
  const RdmaMetadata named = pages.metadata();
  EXPECT_EQ(named.descriptors, (std::vector<SerializedDescriptor>{
                                   {"cuda:0", 5020, 20}, {"cuda:0", 1000, 20}}));
  EXPECT_EQ(named.nixl_metadata, whole.nixl_metadata);
  EXPECT_EQ(named.notification_key, whole.notification_key);
  EXPECT_EQ(named.operation_kind, whole.operation_kind);
  EXPECT_THROW(RemotePages(whole, 20, {4}), Error);
  RdmaMetadata endless = whole;
  for (SerializedDescriptor& each : endless.descriptors) each.size = UINT64_MAX;
  EXPECT_THROW(RemotePages(endless, 1, {0}), Error);
}

TEST_F(PagesOf, OtherPiecesKeepTheirNumbers) {
  const auto pages = base::paged(Pages(part(0, 100), 10, {7, 2}));
  const auto elsewhere = pages.at({{5000, 100}});
  base::PagedMemory::Finder find(elsewhere);
  EXPECT_EQ(find(0), 5070U);
  EXPECT_EQ(find(1), 5020U);
}

}  // namespace
}  // namespace nixl_connect
