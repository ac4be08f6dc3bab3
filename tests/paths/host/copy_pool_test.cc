// SPDX-License-Identifier: Apache-2.0
#include "paths/host/copy_pool.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <vector>

#include "paths/host/cma_copy.h"
#include "paths/host/exposing_process.h"

namespace nixl_connect::paths::host {
namespace {

using testing::ExposingProcess;
using testing::fill;
using testing::Pages;

constexpr std::size_t kSize = 8 * CmaCopy::kPieceBytes;

// Counts the calls of the pool, and lets the owner wait for one.
class Calls {
 public:
  void call() {
    const std::lock_guard lock(mutex_);
    ++count_;
    called_.notify_one();
  }
  bool wait_for_one() {
    std::unique_lock lock(mutex_);
    const bool came =
        called_.wait_for(lock, std::chrono::seconds(20), [&] { return count_ > 0; });
    count_ = 0;
    return came;
  }

 private:
  std::mutex mutex_;
  std::condition_variable called_;
  int count_ = 0;
};

TEST(CopyPool, ItsThreadsEndCopiesAndTellTheOwner) {
  const ExposingProcess peer(kSize, fill);
  Calls calls;
  CopyPool pool(2, [&] { calls.call(); });
  std::vector<std::unique_ptr<Pages>> targets;
  std::vector<std::shared_ptr<CmaCopy>> copies;
  std::atomic<std::uint64_t> progress{0};
  std::set<CopyPool::Tag> waited;
  for (CopyPool::Tag tag = 1; tag <= 20; ++tag) {
    targets.push_back(std::make_unique<Pages>(kSize));
    copies.push_back(std::make_shared<CmaCopy>(
        OperationKind::kRead, peer.lease(),
        Ranges{{targets.back()->address(), peer.address(), kSize}}, progress));
    pool.add(tag, copies.back());
    waited.insert(tag);
  }
  std::vector<CopyPool::Tag> ended;
  while (!waited.empty()) {
    ASSERT_TRUE(calls.wait_for_one());
    pool.take_ended(ended);
    for (const CopyPool::Tag tag : ended) EXPECT_EQ(waited.erase(tag), 1U);
  }
  for (const auto& copy : copies) EXPECT_TRUE(copy->is_complete());
  for (const auto& target : targets) EXPECT_EQ(target->wrong_bytes(), 0U);
  EXPECT_FALSE(pool.help());
}

TEST(CopyPool, OwnerAloneIsEnough) {
  const ExposingProcess peer(kSize, fill);
  const Pages target(kSize);
  std::atomic<std::uint64_t> progress{0};
  CopyPool pool(0, [] {});
  pool.add(7, std::make_shared<CmaCopy>(
                  OperationKind::kRead, peer.lease(),
                  Ranges{{target.address(), peer.address(), kSize}}, progress));
  while (pool.help()) {
  }
  ASSERT_TRUE(pool.has_ended());
  std::vector<CopyPool::Tag> ended;
  pool.take_ended(ended);
  EXPECT_EQ(ended, std::vector<CopyPool::Tag>{7});
  EXPECT_FALSE(pool.has_ended());
  EXPECT_EQ(target.wrong_bytes(), 0U);
}

TEST(CopyPool, OwnerThatStaysAwayIsNotNeeded) {
  const ExposingProcess peer(4096, fill);
  const Pages target(4096);
  std::atomic<std::uint64_t> progress{0};
  Calls calls;
  CopyPool pool(
      1, [&] { calls.call(); }, CopyPool::Owner::kStaysAway);
  std::vector<CopyPool::Tag> ended;
  for (CopyPool::Tag tag = 1; tag <= 20; ++tag) {
    pool.add(tag, std::make_shared<CmaCopy>(
                      OperationKind::kRead, peer.lease(),
                      Ranges{{target.address(), peer.address(), 4096}}, progress));
    ASSERT_TRUE(calls.wait_for_one());
    pool.take_ended(ended);
    EXPECT_EQ(ended, std::vector<CopyPool::Tag>{tag});
  }
  EXPECT_EQ(target.wrong_bytes(), 0U);
}

TEST(CopyPool, OwnerThatStaysAwayIsToldThatNobodyIsThere) {
  const ExposingProcess peer(4096, fill);
  const Pages target(4096);
  std::atomic<std::uint64_t> progress{0};
  CopyPool pool(
      0, [] {}, CopyPool::Owner::kStaysAway);
  const auto copy = std::make_shared<CmaCopy>(
      OperationKind::kRead, peer.lease(),
      Ranges{{target.address(), peer.address(), 4096}}, progress);
  EXPECT_THROW(pool.add(1, copy), Error);
}

TEST(CopyPool, SmallCopyDoesNotWaitForALargeOne) {
  const ExposingProcess peer(kSize, fill);
  const Pages target(kSize);
  std::atomic<std::uint64_t> progress{0};
  const auto copy_of = [&](std::size_t size) {
    return std::make_shared<CmaCopy>(OperationKind::kRead, peer.lease(),
                                     Ranges{{target.address(), peer.address(), size}},
                                     progress);
  };
  CopyPool pool(0, [] {});
  const auto large = copy_of(kSize);
  pool.add(1, large);
  pool.add(2, copy_of(2 * CmaCopy::kPieceBytes));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(pool.help());
  std::vector<CopyPool::Tag> ended;
  pool.take_ended(ended);
  EXPECT_EQ(ended, std::vector<CopyPool::Tag>{2});
  while (pool.help()) {
  }
  EXPECT_TRUE(large->is_complete());
}

TEST(CopyPool, StoppedCopyIsPassedOver) {
  const ExposingProcess peer(kSize, fill);
  const Pages target(kSize);
  std::atomic<std::uint64_t> progress{0};
  CopyPool pool(0, [] {});
  const Ranges ranges{{target.address(), peer.address(), kSize}};
  const auto stopped =
      std::make_shared<CmaCopy>(OperationKind::kRead, peer.lease(), ranges, progress);
  const auto next =
      std::make_shared<CmaCopy>(OperationKind::kRead, peer.lease(), ranges, progress);
  pool.add(1, stopped);
  pool.add(2, next);
  EXPECT_EQ(stopped->stop(), CmaCopy::Step::kEnded);
  while (pool.help()) {
  }
  std::vector<CopyPool::Tag> ended;
  pool.take_ended(ended);
  EXPECT_EQ(ended, std::vector<CopyPool::Tag>{2}) << "stop() told of the first one";
  EXPECT_TRUE(next->is_complete());
}

TEST(CopyPool, ClosesWithCopiesUnderWay) {
  const ExposingProcess peer(kSize, fill);
  const Pages target(kSize);
  std::atomic<std::uint64_t> progress{0};
  const auto copy = std::make_shared<CmaCopy>(
      OperationKind::kRead, peer.lease(),
      Ranges{{target.address(), peer.address(), kSize}}, progress);
  {
    CopyPool pool(2, [] {});
    pool.add(1, copy);
  }
  // Its threads are gone, so nobody moves anything any more.
  const std::uint64_t before = progress;
  EXPECT_EQ(copy->stop() == CmaCopy::Step::kEnded, before < kSize);
  EXPECT_EQ(progress, before);
}

}  // namespace
}  // namespace nixl_connect::paths::host
