// SPDX-License-Identifier: Apache-2.0
//
// Work done on users' threads: it ends there, but users' code does not run there.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"

namespace nixl_connect {
namespace {

using testing::Buffer;
using testing::finish;
using testing::kSoon;

class WorkOnUsersThreads : public ::testing::Test {
 protected:
  ReadableOperation expose(Buffer& source) {
    return exposer_.create_readable(source.descriptor(),
                                    {.timeout = {}, .readers = 1'000'000});
  }

  Connector exposer_;
  Connector initiator_;
  Buffer source_{4096, 1};
  Buffer target_{4096};
};

TEST_F(WorkOnUsersThreads, SmallReadsEndInsideBegin) {
  auto readable = expose(source_);
  const RdmaMetadata metadata = readable.metadata();
  int ended_at_once = 0;
  for (int i = 0; i < 1000; ++i) {
    auto read = initiator_.begin_read(metadata, target_.descriptor());
    ended_at_once += is_terminal(read.status()) ? 1 : 0;
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
  }
  // Not each: the progress thread may just have the turn.
  EXPECT_GT(ended_at_once, 0);
  target_.expect_pattern(1);
}

TEST_F(WorkOnUsersThreads, CallbacksRunOnTheProgressThread) {
  auto readable = expose(source_);
  const RdmaMetadata metadata = readable.metadata();
  Buffer large(4 << 20, 2);
  Buffer large_target(4 << 20);
  auto large_readable = expose(large);
  for (int i = 0; i < 50; ++i) {
    std::promise<std::thread::id> small_thread;
    std::promise<std::thread::id> large_thread;
    auto read = initiator_.begin_read(metadata, target_.descriptor());
    read.on_complete(
        [&](OperationStatus) { small_thread.set_value(std::this_thread::get_id()); });
    auto other =
        initiator_.begin_read(large_readable.metadata(), large_target.descriptor());
    other.on_complete(
        [&](OperationStatus) { large_thread.set_value(std::this_thread::get_id()); });
    other.wait();
    const auto first = small_thread.get_future().get();
    EXPECT_NE(first, std::this_thread::get_id());
    EXPECT_EQ(first, large_thread.get_future().get());
  }
}

TEST_F(WorkOnUsersThreads, CallbacksOfOthersDoNotRunInsideBeginOrWait) {
  auto readable = expose(source_);
  const RdmaMetadata metadata = readable.metadata();
  Buffer large(1 << 20, 2);
  Buffer large_target(1 << 20);
  auto large_readable = expose(large);
  constexpr int kRounds = 200;
  std::atomic<int> calls{0};
  std::atomic<int> calls_here{0};
  const auto note = [&, here = std::this_thread::get_id()](OperationStatus status) {
    EXPECT_EQ(status, OperationStatus::kComplete);
    if (std::this_thread::get_id() == here) ++calls_here;
    ++calls;
  };
  for (int i = 0; i < kRounds; ++i) {
    // Not terminal yet, in most rounds, so that its end comes in a turn of ours.
    auto first =
        initiator_.begin_read(large_readable.metadata(), large_target.descriptor());
    first.on_complete(note);
    auto second = initiator_.begin_read(metadata, target_.descriptor());
    second.on_complete(note);
    ASSERT_EQ(finish(second), OperationStatus::kComplete);
    ASSERT_EQ(finish(first), OperationStatus::kComplete);
  }
  initiator_.close();
  EXPECT_EQ(calls, 2 * kRounds);
  EXPECT_EQ(calls_here, 0);
}

TEST_F(WorkOnUsersThreads, OwnersGoWithoutTheLocksOfACaller) {
  auto readable = expose(source_);
  const RdmaMetadata metadata = readable.metadata();
  Buffer large(1 << 20, 2);
  auto large_readable = expose(large);
  const RdmaMetadata large_metadata = large_readable.metadata();
  std::mutex mutex;
  constexpr int kRounds = 200;
  std::atomic<int> released{0};
  for (int i = 0; i < kRounds; ++i) {
    auto memory = std::make_unique<std::vector<char>>(1 << 20);
    char* const bytes = memory->data();
    const std::shared_ptr<char> owner(
        bytes, [&mutex, &released, kept = memory.release()](char*) {
          const std::lock_guard lock(mutex);
          delete kept;
          ++released;
        });
    {
      const auto dropped =
          initiator_.begin_read(large_metadata, Descriptor(bytes, 1 << 20, {}, owner));
    }
    std::unique_lock lock(mutex);
    auto read = initiator_.begin_read(metadata, target_.descriptor());
    lock.unlock();
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
    // The same inside a wait that takes the turn. It has an end, since with the lock
    // held a deleter may occupy the progress thread.
    lock.lock();
    auto other = initiator_.begin_read(metadata, target_.descriptor());
    (void)other.wait_for(std::chrono::milliseconds(1));
    lock.unlock();
    ASSERT_EQ(finish(other), OperationStatus::kComplete);
  }
  initiator_.close();
  EXPECT_EQ(released, kRounds);
}

TEST_F(WorkOnUsersThreads, ManyThreadsShareAConnector) {
  Buffer large(8 << 20, 2);
  Buffer large_target(8 << 20);
  auto large_readable = expose(large);
  const RdmaMetadata large_metadata = large_readable.metadata();
  std::vector<std::thread> threads;
  constexpr std::uint32_t kThreads = 4;
  threads.reserve(kThreads);
  for (std::uint32_t number = 0; number < kThreads; ++number)
    threads.emplace_back([&, number] {
      // Bytes of its own, which no other thread's read could bring.
      Buffer source(256, 10 + number);
      Buffer target(256);
      auto readable = expose(source);
      const RdmaMetadata metadata = readable.metadata();
      for (int i = 0; i < 500; ++i) {
        std::fill_n(target.data(), target.size(), std::uint8_t{0});
        auto read = initiator_.begin_read(metadata, target.descriptor());
        // EXPECT, since an early return would free what a read still fills.
        EXPECT_EQ(finish(read), OperationStatus::kComplete);
        target.expect_pattern(10 + number);
      }
      target.expect_guards();
    });
  threads.emplace_back([&] {
    for (int i = 0; i < 20; ++i) {
      std::fill_n(large_target.data(), large_target.size(), std::uint8_t{0});
      auto read = initiator_.begin_read(large_metadata, large_target.descriptor());
      EXPECT_EQ(finish(read), OperationStatus::kComplete);
      large_target.expect_pattern(2);
    }
  });
  for (std::thread& thread : threads) thread.join();
  large_target.expect_guards();
}

TEST_F(WorkOnUsersThreads, WhatNobodyWaitsForEndsAllTheSame) {
  Buffer large(8 << 20, 2);
  Buffer target(8 << 20);
  for (int i = 0; i < 20; ++i) {
    auto readable = exposer_.create_readable(large.descriptor());
    const auto read = initiator_.begin_read(readable.metadata(), target.descriptor());
    EXPECT_EQ(finish(readable), OperationStatus::kComplete);
    auto small = exposer_.create_readable(source_.descriptor());
    const auto other = initiator_.begin_read(small.metadata(), target_.descriptor());
    EXPECT_EQ(finish(small), OperationStatus::kComplete);
  }
}

TEST_F(WorkOnUsersThreads, CloseEndsAWriteThatNobodyGrants) {
  std::promise<void> entered;
  std::promise<void> end_of_test;  // its destructor lets the callback return
  auto blocker = exposer_.create_readable(source_.descriptor());
  // Keeps the exposing side from answering, as a stopped process would.
  blocker.on_complete(
      [&entered, end = end_of_test.get_future().share()](OperationStatus) {
        entered.set_value();
        end.wait();
      });
  blocker.cancel();
  entered.get_future().wait();
  auto writable = exposer_.create_writable(target_.descriptor());
  auto write = initiator_.begin_write(source_.descriptor(), writable.metadata());
  std::array<std::future<OperationStatus>, 2> waiters;
  for (auto& waiter : waiters)
    waiter = std::async(std::launch::async, [&] { return write.wait(); });
  EXPECT_FALSE(write.wait_for(std::chrono::milliseconds(20)));
  initiator_.close();
  EXPECT_EQ(write.status(), OperationStatus::kCancelled);
  for (auto& waiter : waiters) {
    ASSERT_EQ(waiter.wait_for(kSoon), std::future_status::ready);
    EXPECT_EQ(waiter.get(), OperationStatus::kCancelled);
  }
  target_.expect_untouched();
}

TEST_F(WorkOnUsersThreads, CloseEndsWhatAnotherThreadWaitsFor) {
  Buffer large(64 << 20, 2);
  Buffer target(64 << 20);
  auto readable = expose(large);
  auto read = initiator_.begin_read(readable.metadata(), target.descriptor());
  auto waiter = std::async(std::launch::async, [&] { return read.wait(); });
  initiator_.close();
  ASSERT_EQ(waiter.wait_for(kSoon), std::future_status::ready);
  EXPECT_TRUE(is_terminal(waiter.get()));
}

}  // namespace
}  // namespace nixl_connect
