// SPDX-License-Identifier: Apache-2.0
//
// Lease words, looked at through the mapped table.
#include "runtime/remote_leases.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/shared_memory.h"
#include "nixl_connect/options.h"
#include "paths/ucx/library.h"
#include "runtime/lease_words.h"

namespace nixl_connect::runtime {
namespace {

class MappedLeases : public ::testing::Test {
 protected:
  // What a peer is told of a new lease.
  wire::Extension grant() {
    const wire::LeaseRecord lease = words_->grant();
    return {instance_, "", "", lease, words_->table_of(lease)};
  }

  paths::ucx::Context context_{
      paths::ucx::open_library(ConnectorOptions::from_environment().ucx_directory), {}};
  const wire::InstanceId instance_{std::byte{7}};
  std::optional<LeaseWords> words_{std::in_place, context_, instance_};
  RemoteLeases leases_;
};

TEST_F(MappedLeases, AreValidUntilTheyEnd) {
  const wire::Extension first = grant();
  leases_.open(first);
  const wire::Extension second = grant();
  EXPECT_EQ(leases_.is_valid(first), true);
  EXPECT_EQ(leases_.is_valid(second), true);
  words_->end(first.lease.id);
  EXPECT_EQ(leases_.is_valid(first), false);
  EXPECT_EQ(leases_.is_valid(second), true);
}

TEST_F(MappedLeases, AreNotValidForThoseOfAnEarlierLeaseInTheSameSlot) {
  const wire::Extension first = grant();
  leases_.open(first);
  words_->end(first.lease.id);
  const wire::Extension second = grant();
  ASSERT_EQ(second.lease_table, first.lease_table);
  EXPECT_EQ(leases_.is_valid(first), false);
  EXPECT_EQ(leases_.is_valid(second), true);
}

TEST_F(MappedLeases, AreUnknownWhereThePeerHasOrNamesNoTable) {
  wire::Extension extension = grant();
  EXPECT_EQ(leases_.is_valid(extension), std::nullopt) << "not opened";
  extension.lease_table.reset();
  leases_.open(extension);
  EXPECT_EQ(leases_.is_valid(extension), std::nullopt);
}

TEST_F(MappedLeases, OfAnotherProcessUnderThoseNumbersAreNotUsed) {
  wire::Extension extension = grant();
  extension.instance[0] = std::byte{8};
  leases_.open(extension);
  EXPECT_EQ(leases_.is_valid(extension), std::nullopt);
}

TEST_F(MappedLeases, AreUnknownAtOffsetsWhereNoWordCanBe) {
  const wire::Extension extension = grant();
  leases_.open(extension);
  const std::uint64_t end =
      kLeaseTableHeadBytes + LeaseWords::kSlots * sizeof(std::uint64_t);
  for (const std::uint64_t offset :
       {std::uint64_t{0}, std::uint64_t{8}, kLeaseTableHeadBytes - 8,
        kLeaseTableHeadBytes + 1, end - 7, end, end + 8, std::uint64_t{1} << 63,
        ~std::uint64_t{7}, ~std::uint64_t{0}}) {
    wire::Extension damaged = extension;
    damaged.lease_table->word_offset = offset;
    EXPECT_EQ(leases_.is_valid(damaged), std::nullopt) << offset;
  }
}

TEST_F(MappedLeases, AreKnownUpToTheLastSlot) {
  wire::Extension extension = grant();
  leases_.open(extension);
  extension.lease_table->word_offset =
      kLeaseTableHeadBytes + (LeaseWords::kSlots - 1) * sizeof(std::uint64_t);
  EXPECT_EQ(leases_.is_valid(extension), false) << "a free slot";
}

TEST_F(MappedLeases, AreNotValidForAnotherToken) {
  wire::Extension extension = grant();
  leases_.open(extension);
  extension.lease.token ^= 1;
  EXPECT_EQ(leases_.is_valid(extension), false);
}

// A table is as large as its process says, which need not be a process of ours.
TEST_F(MappedLeases, AreUnknownInATableWithoutRoomForThem) {
  for (const std::size_t size :
       {std::size_t{1}, sizeof(wire::InstanceId), kLeaseTableHeadBytes - 1,
        kLeaseTableHeadBytes, kLeaseTableHeadBytes + 7}) {
    const base::SharedMemory table(kLeaseTableName, size);
    std::memcpy(table.data(), instance_.data(), std::min(size, instance_.size()));
    wire::Extension extension = grant();
    extension.lease_table =
        wire::LeaseTable{static_cast<std::uint32_t>(::getpid()),
                         static_cast<std::uint32_t>(table.fd()), kLeaseTableHeadBytes};
    RemoteLeases leases;
    leases.open(extension);
    EXPECT_EQ(leases.is_valid(extension), std::nullopt) << size;
    extension.lease_table->word_offset = kLeaseTableHeadBytes + 8;
    EXPECT_EQ(leases.is_valid(extension), std::nullopt) << size;
  }
}

TEST_F(MappedLeases, StayReadableWhenThePeerIsGone) {
  const wire::Extension extension = grant();
  leases_.open(extension);
  words_.reset();
  EXPECT_EQ(leases_.is_valid(extension), true);
}

}  // namespace
}  // namespace nixl_connect::runtime
