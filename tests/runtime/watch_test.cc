// SPDX-License-Identifier: Apache-2.0
//
// Threads that wait for what only a peer can end, and sleep in place of the progress
// thread.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"

namespace nixl_connect {
namespace {

using std::chrono::milliseconds;
using testing::Buffer;
using testing::finish;
using testing::kSoon;

// What the kernel says of a thread of this process.
std::string status_of(const std::filesystem::path& task, const std::string& key) {
  std::ifstream status(task / "status");
  for (std::string line; std::getline(status, line);)
    if (line.compare(0, key.size(), key) == 0) return line.substr(key.size() + 2);
  return "";
}

void wait_until_it_sleeps(pid_t thread) {
  const auto task = std::filesystem::path("/proc/self/task") / std::to_string(thread);
  while (status_of(task, "State").front() != 'S') std::this_thread::yield();
}

// How often the progress threads of this process went to sleep so far.
unsigned long sleeps_of_progress_threads() {
  unsigned long sleeps = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
    if (status_of(task, "Name") == "nixl_connect")
      sleeps += std::stoul(status_of(task, "voluntary_ctxt_switches"));
  return sleeps;
}

class Waiting : public ::testing::Test {
 protected:
  void read(const RdmaMetadata& metadata) {
    Buffer target(4096);
    auto operation = initiator_.begin_read(metadata, target.descriptor());
    EXPECT_EQ(finish(operation), OperationStatus::kComplete);
    target.expect_pattern(1);
    path_ = operation.path();
  }

  Connector exposer_;
  Connector initiator_;
  Buffer source_{4096, 1};
  std::string path_;  // of the last read
};

TEST_F(Waiting, IsEndedWithoutAWayOverTheProgressThread) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one core only";
  constexpr unsigned kRounds = 300;
  const auto once = [&] {
    auto readable = exposer_.create_readable(source_.descriptor());
    std::promise<pid_t> number;
    std::thread waiter([&] {
      number.set_value(::gettid());
      EXPECT_EQ(readable.wait(), OperationStatus::kComplete);
    });
    wait_until_it_sleeps(number.get_future().get());
    read(readable.metadata());
    waiter.join();
  };
  once();  // connects
  if (path_.rfind("host", 0) != 0) GTEST_SKIP() << "UCX sends from the progress thread";
  const unsigned long before = sleeps_of_progress_threads();
  for (unsigned i = 0; i < kRounds; ++i) once();
  EXPECT_LT(sleeps_of_progress_threads() - before, kRounds / 2);
}

TEST_F(Waiting, OfManyThreadsEndsForEachWhenItsTimeHasCome) {
  constexpr std::size_t kThreads = 8;
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<ReadableOperation> readables;
    std::vector<std::thread> waiters;
    readables.reserve(kThreads);
    for (std::size_t i = 0; i < kThreads; ++i) {
      readables.push_back(exposer_.create_readable(source_.descriptor()));
      waiters.emplace_back([&mine = readables.back()] {
        EXPECT_EQ(finish(mine), OperationStatus::kComplete);
      });
    }
    std::vector<std::size_t> order(kThreads);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t i : order) read(readables[i].metadata());
    for (std::thread& waiter : waiters) waiter.join();
  }
}

TEST_F(Waiting, EndsByACancelOfAnotherThread) {
  for (int i = 0; i < 100; ++i) {
    auto readable = exposer_.create_readable(source_.descriptor());
    std::thread waiter(
        [&] { EXPECT_EQ(finish(readable), OperationStatus::kCancelled); });
    readable.cancel();
    waiter.join();
  }
}

TEST_F(Waiting, EndsAtTheDeadlineOfTheOperation) {
  auto readable =
      exposer_.create_readable(source_.descriptor(), {.timeout = milliseconds(20)});
  try {
    (void)readable.wait_for(kSoon);
    ADD_FAILURE() << "it was waited for without an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kTimedOut) << error.what();
  }
}

TEST_F(Waiting, MayBeGivenUpAndTakenUpAgain) {
  auto readable = exposer_.create_readable(source_.descriptor());
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(readable.wait_for(milliseconds(1)));
  const RdmaMetadata metadata = readable.metadata();
  std::thread reader([&] { read(metadata); });
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
  reader.join();
}

// Callbacks, deadlines and peers: nobody else is there to wake the progress thread.
TEST_F(Waiting, LeavesWhatOthersWaitForToTheProgressThread) {
  auto unread = exposer_.create_readable(source_.descriptor());
  std::thread waiter([&] { EXPECT_EQ(finish(unread), OperationStatus::kCancelled); });
  for (int i = 0; i < 100; ++i) {
    std::promise<OperationStatus> told;
    auto readable = exposer_.create_readable(source_.descriptor());
    readable.on_complete([&](OperationStatus status) { told.set_value(status); });
    read(readable.metadata());
    EXPECT_EQ(told.get_future().get(), OperationStatus::kComplete);
    auto late =
        exposer_.create_readable(source_.descriptor(), {.timeout = milliseconds(1)});
    std::promise<OperationStatus> told_late;
    late.on_complete([&](OperationStatus status) { told_late.set_value(status); });
    EXPECT_EQ(told_late.get_future().get(), OperationStatus::kErrored);
  }
  unread.cancel();
  waiter.join();
}

TEST_F(Waiting, EndsWhenTheConnectorIsClosed) {
  std::vector<ReadableOperation> readables;
  std::vector<std::thread> waiters;
  readables.reserve(3);
  for (int i = 0; i < 3; ++i) {
    readables.push_back(exposer_.create_readable(source_.descriptor()));
    waiters.emplace_back([&mine = readables.back()] {
      EXPECT_EQ(finish(mine), OperationStatus::kCancelled);
    });
  }
  exposer_.close();
  for (std::thread& waiter : waiters) waiter.join();
}

}  // namespace
}  // namespace nixl_connect
