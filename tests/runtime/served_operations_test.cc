// SPDX-License-Identifier: Apache-2.0
//
// Operations that peers carry out: which part begins when, what ends them, and how. No
// peer is there, and no GPU.
#include "runtime/served_operations.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nixl_connect/error.h"

namespace nixl_connect::runtime {
namespace {

constexpr core::PeerId kPeer = 3;
constexpr std::uint64_t kMiB = 1 << 20;

class ServedOperationsTest : public ::testing::Test {
 protected:
  // One range, at an odd place.
  static ServedOperation of_bytes(std::uint64_t bytes, OperationKind kind,
                                  bool takes_slots = true, core::PeerId peer = kPeer) {
    return {kind, peer, {{4099, 7001, bytes}}, takes_slots};
  }
  void begin_read(core::OperationId operation, std::uint64_t bytes,
                  bool takes_slots = true, core::PeerId peer = kPeer) {
    served_.begin(operation, of_bytes(bytes, OperationKind::kRead, takes_slots, peer));
  }
  // Those that have begun, and take them.
  std::vector<core::OperationId> taken(std::vector<core::OperationId>& steps) {
    return std::exchange(steps, {});
  }
  void end(std::optional<core::Failure> failure = std::nullopt) {
    auto& steps = asked_.empty() ? copying_ : asked_;
    const core::OperationId number = steps.front();
    steps.erase(steps.begin());
    served_.step_ended(number, std::move(failure));
  }

  struct Ended {
    std::uint64_t moved;
    std::optional<core::Failure> failure;
    std::string why_not;
  };

  std::vector<core::OperationId> asked_;    // parts, by their numbers
  std::vector<core::OperationId> copying_;  // the same
  std::vector<core::OperationId> cancelled_;
  std::vector<core::OperationId> order_;  // of the operations of those asked for
  std::map<core::OperationId, Ended> ended_;
  bool do_steps_fail_ = false;
  ServedOperations served_{
      {[this](core::OperationId number, ServedPart& part) {
         if (do_steps_fail_) throw Error(ErrorKind::kNoResources, "no room");
         asked_.push_back(number);
         order_.push_back(part.operation);
       },
       [this](core::OperationId number, ServedPart&) { copying_.push_back(number); },
       [this](core::OperationId number, ServedPart&) { cancelled_.push_back(number); },
       [](core::OperationId, std::uint64_t) {},
       [this](core::OperationId operation, const ServedOperation& served) {
         const bool is_new =
             ended_
                 .emplace(operation, Ended{served.moved(), served.failure(),
                                           served.why_not() ? *served.why_not() : ""})
                 .second;
         EXPECT_TRUE(is_new) << "it has ended twice";
       },
       [](core::PeerId) { return true; }}};
};

TEST_F(ServedOperationsTest, OfTheHostAskForAllOfIt) {
  begin_read(1, 100 * kMiB, false);
  ASSERT_EQ(asked_.size(), 1U);
  const ServedPart& part = served_.part(asked_[0]);
  EXPECT_EQ(part.ranges, (std::vector<wire::ServedRange>{{7001, 4099, 100 * kMiB}}));
  EXPECT_EQ(part.slot, nullptr);
  end();
  EXPECT_TRUE(copying_.empty());
  EXPECT_EQ(ended_.at(1).moved, 100 * kMiB);
  EXPECT_FALSE(ended_.at(1).failure);
}

TEST_F(ServedOperationsTest, OfMoreRangesThanOneServeHasCutThem) {
  paths::host::Ranges ranges;
  for (std::uint64_t i = 0; i < wire::kMaxServedRanges + 5; ++i)
    ranges.push_back({1000 + i * 16, 2000 + i * 16, 8});
  served_.begin(1, {OperationKind::kWrite, kPeer, std::move(ranges), false});
  ASSERT_EQ(asked_.size(), 2U);
  EXPECT_EQ(served_.part(asked_[0]).ranges.size(), wire::kMaxServedRanges);
  EXPECT_EQ(served_.part(asked_[1]).ranges.size(), 5U);
  end();
  end();
  EXPECT_FALSE(ended_.at(1).failure);
}

// Each byte once, in order, in slots where it lies as on the GPU.
TEST_F(ServedOperationsTest, OfAGpuGoThroughSlots) {
  constexpr std::uint64_t kBytes = 40 * kMiB + 3;
  begin_read(1, kBytes);
  std::uint64_t done = 0;
  while (ended_.empty()) {
    ASSERT_EQ(asked_.size() + copying_.size(), done + 16 * kMiB < kBytes ? 2U : 1U);
    const ServedPart& part = served_.part(asked_.front());
    const wire::ServedRange& range = part.ranges.at(0);
    EXPECT_EQ(range.address, 7001 + done);
    EXPECT_EQ(part.copied.at(0).source, range.asker_address);
    EXPECT_EQ(part.copied.at(0).target, 4099 + done);
    EXPECT_EQ((range.asker_address - part.copied.at(0).target) % 128, 0U);
    EXPECT_LE(range.asker_address + range.size,
              reinterpret_cast<std::uintptr_t>(part.slot->data()) + part.slot->size());
    done += range.size;
    end();  // the peer
    const core::OperationId copied = copying_.front();
    copying_.clear();
    served_.step_ended(copied, std::nullopt);
  }
  EXPECT_EQ(done, kBytes);
  EXPECT_EQ(ended_.at(1).moved, kBytes);
}

TEST_F(ServedOperationsTest, OfWritesFillTheSlotFirst) {
  served_.begin(1, of_bytes(10, OperationKind::kWrite));
  EXPECT_TRUE(asked_.empty());
  ASSERT_EQ(copying_.size(), 1U);
  EXPECT_EQ(served_.part(copying_[0]).copied.at(0).source, 4099U);
  end();
  EXPECT_EQ(asked_.size(), 1U);
  end();
  EXPECT_FALSE(ended_.at(1).failure);
}

TEST_F(ServedOperationsTest, WaitForRoomInTurn) {
  for (core::OperationId operation = 1; operation <= 6; ++operation)
    begin_read(operation, 64 * kMiB);
  EXPECT_EQ(order_, (std::vector<core::OperationId>{1, 1, 2, 2, 3, 3, 4, 4}));
  begin_read(7, 9, true, kPeer + 1);
  EXPECT_EQ(order_.back(), 7U) << "of another peer";
  const core::OperationId first = asked_.front();
  asked_.erase(asked_.begin());
  served_.step_ended(first, std::nullopt);
  EXPECT_EQ(order_.back(), 7U) << "the part is not over";
  served_.step_ended(copying_.front(), std::nullopt);
  EXPECT_EQ(order_.back(), 5U) << "which has waited longer than 1";
}

TEST_F(ServedOperationsTest, EndByAStopWhenTheirStepsHave) {
  begin_read(1, 64 * kMiB);
  for (core::OperationId operation = 2; operation <= 5; ++operation)
    begin_read(operation, 64 * kMiB);
  served_.stop(5);
  EXPECT_EQ(ended_.at(5).failure->message, "stopped") << "it has only waited";
  served_.stop(1);
  EXPECT_EQ(cancelled_, std::vector(asked_.begin(), asked_.begin() + 2));
  end();
  EXPECT_TRUE(copying_.empty()) << "nothing more begins";
  EXPECT_FALSE(ended_.contains(1));
  end({{ErrorKind::kCancelled, "cut off"}});
  EXPECT_EQ(ended_.at(1).failure->message, "stopped");
}

TEST_F(ServedOperationsTest, EndByTheFirstFailure) {
  begin_read(1, 64 * kMiB);
  end({{ErrorKind::kDisconnected, "first"}});
  EXPECT_TRUE(ended_.empty());
  end({{ErrorKind::kCancelled, "second"}});
  EXPECT_EQ(ended_.at(1).failure->message, "first");
  EXPECT_EQ(ended_.at(1).moved, 0U);
}

TEST_F(ServedOperationsTest, EndWhereAStepCannotBegin) {
  do_steps_fail_ = true;
  begin_read(1, 64 * kMiB);
  EXPECT_EQ(ended_.at(1).failure->message, "no room");
}

TEST_F(ServedOperationsTest, AreToBeTriedAnotherWayIfRefused) {
  begin_read(1, 64 * kMiB);
  EXPECT_FALSE(served_.refuse(asked_[0], kPeer + 1, "of another peer"));
  EXPECT_FALSE(served_.refuse(77, kPeer, "no such part"));
  EXPECT_TRUE(served_.refuse(asked_[0], kPeer, "no"));
  end({{ErrorKind::kCancelled, "cancelled for that"}});
  EXPECT_TRUE(ended_.empty());
  end();
  EXPECT_EQ(ended_.at(1).why_not, "no");
}

TEST_F(ServedOperationsTest, AreNotTriedAnotherWayBehindAStop) {
  begin_read(1, 64 * kMiB);
  EXPECT_TRUE(served_.refuse(asked_[0], kPeer, "no"));
  end({{ErrorKind::kCancelled, "cancelled for that"}});
  served_.stop(1);
  end({{ErrorKind::kCancelled, "cut off"}});
  EXPECT_EQ(ended_.at(1).why_not, "");
  EXPECT_EQ(ended_.at(1).failure->message, "stopped");
}

}  // namespace
}  // namespace nixl_connect::runtime
