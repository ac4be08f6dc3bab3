// SPDX-License-Identifier: Apache-2.0
//
// Work done on users' threads: it ends there, but users' code does not run there.
#include <gtest/gtest.h>

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
  }
  initiator_.close();
  EXPECT_EQ(released, kRounds);
}

TEST_F(WorkOnUsersThreads, ManyThreadsShareAConnector) {
  auto readable = expose(source_);
  Buffer large(8 << 20, 2);
  Buffer large_target(8 << 20);
  auto large_readable = expose(large);
  const RdmaMetadata metadata = readable.metadata();
  const RdmaMetadata large_metadata = large_readable.metadata();
  std::vector<std::thread> threads;
  constexpr int kThreads = 4;
  threads.reserve(kThreads);
  for (int number = 0; number < kThreads; ++number)
    threads.emplace_back([&] {
      Buffer target(4096);
      for (int i = 0; i < 300; ++i) {
        auto read = initiator_.begin_read(metadata, target.descriptor());
        ASSERT_EQ(finish(read), OperationStatus::kComplete);
      }
      target.expect_pattern(1);
    });
  for (int i = 0; i < 20; ++i) {
    auto read = initiator_.begin_read(large_metadata, large_target.descriptor());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
  }
  for (std::thread& thread : threads) thread.join();
  large_target.expect_pattern(2);
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
