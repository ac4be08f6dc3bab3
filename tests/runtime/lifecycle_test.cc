// SPDX-License-Identifier: Apache-2.0
//
// How operations end: cancelled, out of time, dropped, closed; and how ends are told.
#include <gtest/gtest.h>

#include <atomic>
#include <coroutine>
#include <future>
#include <memory>
#include <thread>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"

namespace nixl_connect {
namespace {

using testing::Buffer;
using testing::finish;
using testing::kind_of;
using testing::kSoon;

class Lifecycle : public ::testing::Test {
 protected:
  std::unique_ptr<Connector> exposer_ = std::make_unique<Connector>();
  Connector initiator_;
  Buffer source_{4096, 1};
  Buffer target_{4096};
};

TEST_F(Lifecycle, CancelOfAnUnreadReadableEndsCancelled) {
  auto readable = exposer_->create_readable(source_.descriptor());
  EXPECT_EQ(readable.status(), OperationStatus::kInitialized);
  EXPECT_FALSE(readable.wait_for(std::chrono::milliseconds(1)));
  readable.cancel();
  EXPECT_EQ(finish(readable), OperationStatus::kCancelled);
  EXPECT_EQ(readable.wait(), OperationStatus::kCancelled);
  readable.cancel();
  EXPECT_EQ(readable.status(), OperationStatus::kCancelled);
}

TEST_F(Lifecycle, ReadableThatStaysOpenIsReadOnUntilItsEnd) {
  auto readable = exposer_->create_readable(source_.descriptor(), {.stays_open = true});
  const RdmaMetadata metadata = readable.metadata();
  std::promise<OperationStatus> quiet;
  readable.on_quiet([&](OperationStatus status) { quiet.set_value(status); });
  for (int i = 0; i < 3; ++i) {
    Buffer target(target_.size());
    auto read = initiator_.begin_read(metadata, target.descriptor());
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
    ASSERT_EQ(finish(readable), OperationStatus::kComplete);
    EXPECT_FALSE(readable.is_quiet());
  }
  readable.cancel();
  EXPECT_EQ(quiet.get_future().get(), OperationStatus::kComplete);
  EXPECT_TRUE(readable.is_quiet());
  EXPECT_EQ(readable.status(), OperationStatus::kComplete);
  auto late = initiator_.begin_read(metadata, target_.descriptor());
  EXPECT_EQ(kind_of([&] { (void)late.wait_for(kSoon); }), ErrorKind::kCancelled);
}

TEST_F(Lifecycle, ClosingEndsAReadableThatStaysOpen) {
  auto readable = exposer_->create_readable(source_.descriptor(), {.stays_open = true});
  auto read = initiator_.begin_read(readable.metadata(), target_.descriptor());
  ASSERT_EQ(finish(read), OperationStatus::kComplete);
  ASSERT_EQ(finish(readable), OperationStatus::kComplete);
  exposer_->close();
  EXPECT_TRUE(readable.is_quiet());
  EXPECT_EQ(readable.status(), OperationStatus::kComplete);
}

TEST_F(Lifecycle, DroppedReadableThatStaysOpenLetsItsOwnerGo) {
  std::weak_ptr<const void> owner;
  {
    Buffer source(4096, 1);
    owner = source.descriptor().owner();
    Buffer target(4096);
    auto readable =
        exposer_->create_readable(source.descriptor(), {.stays_open = true});
    auto read = initiator_.begin_read(readable.metadata(), target.descriptor());
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
    ASSERT_EQ(finish(readable), OperationStatus::kComplete);
  }
  exposer_->close();
  EXPECT_TRUE(owner.expired());
}

TEST_F(Lifecycle, DeadlineEndsAReadableThatNobodyReads) {
  auto readable = exposer_->create_readable(source_.descriptor(),
                                            {.timeout = std::chrono::milliseconds(20)});
  EXPECT_EQ(kind_of([&] { (void)readable.wait_for(kSoon); }), ErrorKind::kTimedOut);
  EXPECT_EQ(readable.status(), OperationStatus::kErrored);
}

TEST_F(Lifecycle, ConnectorsDeadlineHoldsForItsOperations) {
  Connector impatient({.timeout = std::chrono::milliseconds(20)});
  auto readable = impatient.create_readable(source_.descriptor());
  EXPECT_EQ(kind_of([&] { (void)readable.wait_for(kSoon); }), ErrorKind::kTimedOut);
}

TEST_F(Lifecycle, DroppedOperationKeepsTheOwnerUntilQuiet) {
  constexpr std::size_t kSize = 256 << 20;
  Buffer source(kSize);
  std::weak_ptr<const void> owner;
  auto readable = exposer_->create_readable(source.descriptor());
  {
    Buffer target(kSize);
    owner = target.descriptor().owner();
    auto read = initiator_.begin_read(readable.metadata(), target.descriptor());
  }
  // The exposing side hears of the end only when the reader's memory is quiet.
  try {
    (void)readable.wait_for(kSoon);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCancelled);
    EXPECT_NE(std::string_view(error.what()).find("to peer " + initiator_.name()),
              std::string_view::npos)
        << error.what();
  }
  initiator_.close();
  EXPECT_TRUE(owner.expired());
}

TEST_F(Lifecycle, ClosingTheExposerEndsItsOperationsAndTheReaders) {
  constexpr std::size_t kSize = 256 << 20;
  Buffer source(kSize);
  Buffer target(kSize);
  auto readable = exposer_->create_readable(source.descriptor());
  auto unread = exposer_->create_readable(source_.descriptor());
  auto read = initiator_.begin_read(readable.metadata(), target.descriptor());
  exposer_.reset();
  EXPECT_TRUE(is_terminal(readable.status()));
  EXPECT_EQ(unread.status(), OperationStatus::kCancelled);
  EXPECT_EQ(unread.wait(), OperationStatus::kCancelled);
  try {
    ASSERT_TRUE(read.wait_for(kSoon));
  } catch (const Error&) {
    // Lost the race against the end of the exposer; that it ended is what counts.
  }
  EXPECT_TRUE(is_terminal(read.status()));
}

TEST_F(Lifecycle, OperationsOnAClosedPeerEnd) {
  auto writable = exposer_->create_writable(target_.descriptor());
  auto readable = exposer_->create_readable(source_.descriptor());
  const RdmaMetadata to_write = writable.metadata();
  const RdmaMetadata to_read = readable.metadata();
  exposer_->close();
  auto write = initiator_.begin_write(source_.descriptor(), to_write);
  EXPECT_EQ(kind_of([&] { (void)write.wait_for(kSoon); }), ErrorKind::kDisconnected);
  target_.expect_untouched();
  auto read = initiator_.begin_read(to_read, target_.descriptor());
  // UCX may have read the memory of this living process by the time that it finds
  // nobody to connect to; then it is the lease that is over.
  const ErrorKind kind = kind_of([&] { (void)read.wait_for(kSoon); });
  EXPECT_TRUE(kind == ErrorKind::kDisconnected || kind == ErrorKind::kCancelled);
}

TEST_F(Lifecycle, EmptyCallbackIsRefused) {
  auto readable = exposer_->create_readable(source_.descriptor());
  EXPECT_EQ(kind_of([&] { readable.on_complete(nullptr); }),
            ErrorKind::kInvalidArgument);
}

TEST_F(Lifecycle, ReaderThatClosesAtOnceStillTellsOfItsSuccess) {
  for (int round = 0; round < 20; ++round) {
    auto readable = exposer_->create_readable(source_.descriptor());
    {
      Connector reader;
      auto read = reader.begin_read(readable.metadata(), target_.descriptor());
      ASSERT_EQ(finish(read), OperationStatus::kComplete);
    }
    ASSERT_EQ(finish(readable), OperationStatus::kComplete) << round;
  }
}

TEST_F(Lifecycle, CallbackRunsOnceAndNotOnTheCaller) {
  auto readable = exposer_->create_readable(source_.descriptor());
  std::promise<OperationStatus> early;
  std::atomic<int> calls{0};
  std::thread::id thread;
  readable.on_complete([&](OperationStatus status) {
    ++calls;
    thread = std::this_thread::get_id();
    early.set_value(status);
  });
  auto read = initiator_.begin_read(readable.metadata(), target_.descriptor());
  EXPECT_EQ(early.get_future().get(), OperationStatus::kComplete);
  EXPECT_NE(thread, std::this_thread::get_id());
  std::promise<OperationStatus> late;
  readable.on_complete([&](OperationStatus status) { late.set_value(status); });
  EXPECT_EQ(late.get_future().get(), OperationStatus::kComplete);
  EXPECT_EQ(calls, 1);
}

TEST_F(Lifecycle, ThrowingCallbackHurtsNobody) {
  auto readable = exposer_->create_readable(source_.descriptor());
  readable.on_complete([](OperationStatus) { throw std::runtime_error("on purpose"); });
  std::promise<void> second;
  readable.on_complete([&](OperationStatus) { second.set_value(); });
  readable.cancel();
  second.get_future().get();
}

TEST_F(Lifecycle, CallbackOnAnyThreadRunsOnceBesideOneThatThrows) {
  auto readable = exposer_->create_readable(source_.descriptor());
  std::atomic<int> calls{0};
  std::promise<OperationStatus> end;
  readable.on_complete([](OperationStatus) { throw std::runtime_error("on purpose"); },
                       CallOn::kAnyThread);
  readable.on_complete(
      [&](OperationStatus status) {
        ++calls;
        end.set_value(status);
      },
      CallOn::kAnyThread);
  auto read = initiator_.begin_read(readable.metadata(), target_.descriptor());
  EXPECT_EQ(end.get_future().get(), OperationStatus::kComplete);
  exposer_->close();
  EXPECT_EQ(calls, 1);
}

TEST_F(Lifecycle, CallbackOnAnyThreadOfATerminalOperationIsCalledInside) {
  auto readable = exposer_->create_readable(source_.descriptor());
  readable.cancel();
  readable.wait();
  exposer_->close();
  std::thread::id thread;
  readable.on_complete([&](OperationStatus) { thread = std::this_thread::get_id(); },
                       CallOn::kAnyThread);
  EXPECT_EQ(thread, std::this_thread::get_id());
  EXPECT_EQ(kind_of([&] { readable.on_complete(nullptr, CallOn::kAnyThread); }),
            ErrorKind::kInvalidArgument);
}

TEST_F(Lifecycle, WaitInsideACallbackIsRefused) {
  auto readable = exposer_->create_readable(source_.descriptor());
  auto other = exposer_->create_readable(source_.descriptor());
  std::promise<ErrorKind> kind;
  readable.on_complete(
      [&](OperationStatus) { kind.set_value(kind_of([&] { other.wait(); })); });
  readable.cancel();
  EXPECT_EQ(kind.get_future().get(), ErrorKind::kInvalidArgument);
}

TEST_F(Lifecycle, CallbackMayBeginOperationsAndEvenDestroyTheConnector) {
  auto readable = exposer_->create_readable(source_.descriptor());
  std::promise<void> done;
  readable.on_complete([&](OperationStatus) {
    auto next = exposer_->create_readable(source_.descriptor());
    exposer_.reset();
    done.set_value();
  });
  auto read = initiator_.begin_read(readable.metadata(), target_.descriptor());
  done.get_future().get();
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
}

// The smallest coroutine type that can await.
struct Detached {
  struct promise_type {  // NOLINT(readability-identifier-naming): the standard's
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Detached read_and_tell(ReadOperation& read, std::promise<OperationStatus>& end) {
  end.set_value(co_await read);
}

Detached await_failure(ReadableOperation& readable, std::promise<ErrorKind>& end) {
  try {
    co_await readable;
  } catch (const Error& error) {
    end.set_value(error.kind());
  }
}

TEST_F(Lifecycle, CoroutineResumesWithTheStatus) {
  auto readable = exposer_->create_readable(source_.descriptor());
  auto read = initiator_.begin_read(readable.metadata(), target_.descriptor());
  std::promise<OperationStatus> end;
  read_and_tell(read, end);
  EXPECT_EQ(end.get_future().get(), OperationStatus::kComplete);
  std::promise<OperationStatus> again;
  read_and_tell(read, again);
  auto ready = again.get_future();
  ASSERT_EQ(ready.wait_for(std::chrono::seconds(0)), std::future_status::ready);
}

TEST_F(Lifecycle, CoroutineGetsTheFailureThrown) {
  auto readable = exposer_->create_readable(source_.descriptor(),
                                            {.timeout = std::chrono::milliseconds(5)});
  std::promise<ErrorKind> end;
  await_failure(readable, end);
  EXPECT_EQ(end.get_future().get(), ErrorKind::kTimedOut);
}

}  // namespace
}  // namespace nixl_connect
