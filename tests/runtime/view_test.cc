// SPDX-License-Identifier: Apache-2.0
//
// Views between two Connectors: what they show, what they cost, and who waits for whom.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"

namespace nixl_connect {
namespace {

using std::chrono::milliseconds;
using testing::Buffer;
using testing::finish;
using testing::kind_of;
using testing::kSoon;
using testing::with_short_drain;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kIsInstrumented = true;
#else
constexpr bool kIsInstrumented = false;
#endif

// Many times the drain timeout.
constexpr milliseconds kLong{200};

// Turns ready when the callback that it gives is called.
class Signal {
 public:
  std::function<void(OperationStatus)> callback() {
    return [this](OperationStatus status) { promise_.set_value(status); };
  }
  std::optional<OperationStatus> wait() {
    if (future_.wait_for(kSoon) != std::future_status::ready) return std::nullopt;
    return future_.get();
  }

 private:
  std::promise<OperationStatus> promise_;
  std::future<OperationStatus> future_ = promise_.get_future();
};

class View : public ::testing::Test {
 protected:
  View() { std::fill_n(source_.data(), kSize, std::byte{0x33}); }

  static bool shows(std::span<const std::byte> bytes, std::byte content) {
    return std::all_of(bytes.begin(), bytes.end(),
                       [content](std::byte each) { return each == content; });
  }
  ViewOperation open(const RdmaMetadata& metadata) {
    auto view = viewer_.begin_view(metadata);
    EXPECT_EQ(finish(view), OperationStatus::kComplete);
    return view;
  }
  static void expect_quiet(Operation& operation) {
    Signal quiet;
    operation.on_quiet(quiet.callback());
    EXPECT_EQ(quiet.wait(), OperationStatus::kComplete);
    EXPECT_TRUE(operation.is_quiet());
  }

  static constexpr std::size_t kSize = 100'000;
  Connector exposer_{with_short_drain()};
  Connector viewer_{with_short_drain()};
  const Allocation source_ = Connector::allocate(kSize);
};

TEST_F(View, ShowsTheMemoryItselfAndNoCopy) {
  auto readable = exposer_.create_readable(source_.descriptor());
  auto view = open(readable.metadata());
  EXPECT_EQ(view.kind(), OperationKind::kRead);
  EXPECT_EQ(view.path(), "host.map");
  EXPECT_EQ(view.bytes_transferred(), kSize);
  ASSERT_EQ(view.count(), 1U);
  ASSERT_EQ(view.bytes().size(), kSize);
  EXPECT_TRUE(shows(view.bytes(), std::byte{0x33}));
  source_.data()[777] = std::byte{0x44};
  EXPECT_EQ(view.bytes()[777], std::byte{0x44});
  EXPECT_FALSE(view.is_quiet());
  EXPECT_FALSE(view.is_revoked());
}

TEST_F(View, IsASuccessOfTheReadableWhenItIsClosed) {
  auto readable = exposer_.create_readable(source_.descriptor());
  auto view = open(readable.metadata());
  EXPECT_FALSE(readable.wait_for(kLong));
  EXPECT_EQ(readable.status(), OperationStatus::kInProgress);
  view.close();
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
  EXPECT_EQ(readable.path(), "host.map");
  EXPECT_EQ(readable.bytes_transferred(), kSize);
  expect_quiet(view);
  view.close();
  EXPECT_EQ(view.status(), OperationStatus::kComplete);
  EXPECT_FALSE(view.is_revoked());
}

TEST_F(View, DestroyingItClosesIt) {
  auto readable = exposer_.create_readable(source_.descriptor());
  open(readable.metadata());
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
}

TEST_F(View, IsMappedForReadingOnly) {
  auto readable = exposer_.create_readable(source_.descriptor());
  auto view = open(readable.metadata());
  const auto address = reinterpret_cast<std::uintptr_t>(view.bytes().data());
  std::ifstream maps("/proc/self/maps");
  std::string found;
  for (std::string line; std::getline(maps, line);) {
    const std::uintptr_t first = std::stoull(line, nullptr, 16);
    const std::uintptr_t last =
        std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
    if (first <= address && address < last) found = line;
  }
  EXPECT_NE(found.find(" r--s "), std::string::npos) << found;
}

TEST_F(View, OfSeveralDescriptorsShowsEachInItsPlace) {
  const Allocation other = Connector::allocate(5000);
  std::fill_n(other.data(), 5000, std::byte{0x55});
  source_.data()[4097] = std::byte{1};
  const std::array descriptors{source_.descriptor().slice(4097, 3), other.descriptor(),
                               source_.descriptor().slice(10, 0),
                               source_.descriptor().slice(4098, 5000)};
  auto readable = exposer_.create_readable(descriptors);
  auto view = open(readable.metadata());
  ASSERT_EQ(view.count(), descriptors.size());
  for (std::size_t i = 0; i < descriptors.size(); ++i)
    ASSERT_EQ(view.bytes(i).size(), descriptors[i].size()) << i;
  EXPECT_EQ(view.bytes(0)[0], std::byte{1});
  EXPECT_TRUE(shows(view.bytes(1), std::byte{0x55}));
  EXPECT_TRUE(shows(view.bytes(3), std::byte{0x33}));
  EXPECT_EQ(kind_of([&] { (void)view.bytes(4); }), ErrorKind::kInvalidArgument);
}

// One of many is enough: what takes longer is what else the machine does.
TEST_F(View, OpensInTheSameShortTimeWhateverItsSize) {
  if (kIsInstrumented) GTEST_SKIP() << "instrumented code takes its own time";
  constexpr std::chrono::microseconds kBound{100};
  constexpr int kTries = 2000;
  for (const std::size_t size : {std::size_t{1} << 20, std::size_t{256} << 20}) {
    std::chrono::nanoseconds least = std::chrono::hours(1);
    for (int i = 0; i < kTries && least >= kBound; ++i) {
      const Allocation memory = Connector::allocate(size);
      auto readable = exposer_.create_readable(memory.descriptor());
      const RdmaMetadata metadata = readable.metadata();
      const auto start = std::chrono::steady_clock::now();
      const auto view = open(metadata);
      least = std::min(
          least, std::chrono::nanoseconds(std::chrono::steady_clock::now() - start));
    }
    EXPECT_LT(least, kBound) << size;
  }
}

TEST_F(View, CancelOfTheReadableRecallsItAndWaitsForItsEnd) {
  auto readable = exposer_.create_readable(source_.descriptor());
  auto view = open(readable.metadata());
  Signal revoked;
  view.on_revoked(revoked.callback());
  readable.cancel();
  EXPECT_EQ(revoked.wait(), OperationStatus::kComplete);
  EXPECT_TRUE(view.is_revoked());
  EXPECT_FALSE(readable.wait_for(kLong)) << "while it is looked at";
  EXPECT_FALSE(view.is_quiet());
  EXPECT_TRUE(shows(view.bytes(), std::byte{0x33}));
  view.close();
  EXPECT_EQ(finish(readable), OperationStatus::kCancelled);
}

TEST_F(View, DeadlineOfTheReadableDoesTheSame) {
  auto readable =
      exposer_.create_readable(source_.descriptor(), {.timeout = milliseconds(50)});
  auto view = open(readable.metadata());
  Signal revoked;
  view.on_revoked(revoked.callback());
  EXPECT_EQ(revoked.wait(), OperationStatus::kComplete);
  EXPECT_FALSE(readable.wait_for(kLong)) << "while it is looked at";
  view.close();
  EXPECT_EQ(kind_of([&] { (void)readable.wait_for(kSoon); }), ErrorKind::kTimedOut);
}

TEST_F(View, HasADeadlineForItsOpeningOnly) {
  auto readable = exposer_.create_readable(source_.descriptor());
  auto late = viewer_.begin_view(readable.metadata(), {.timeout = -milliseconds(1)});
  EXPECT_EQ(kind_of([&] { (void)late.wait_for(kSoon); }), ErrorKind::kTimedOut);
  EXPECT_EQ(kind_of([&] { (void)late.bytes(); }), ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind_of([&] { (void)late.owner(); }), ErrorKind::kInvalidArgument);
  auto view = viewer_.begin_view(readable.metadata(), {.timeout = kLong});
  ASSERT_EQ(finish(view), OperationStatus::kComplete);
  EXPECT_FALSE(readable.wait_for(2 * kLong));
  EXPECT_FALSE(view.is_quiet());
}

TEST_F(View, HoldsAReadableThatStaysOpenAsOneOfMany) {
  auto readable = exposer_.create_readable(source_.descriptor(), {.stays_open = true});
  auto first = open(readable.metadata());
  auto second = open(readable.metadata());
  first.close();
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
  Buffer target(kSize);
  auto read = viewer_.begin_read(readable.metadata(), target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  Signal revoked;
  second.on_revoked(revoked.callback());
  readable.cancel();
  EXPECT_TRUE(revoked.wait());
  EXPECT_FALSE(readable.is_quiet());
  second.close();
  expect_quiet(readable);
}

TEST_F(View, OwnerKeepsTheBytesReadable) {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  {
    Connector viewer(with_short_drain());
    auto readable = exposer_.create_readable(source_.descriptor());
    auto view = viewer.begin_view(readable.metadata());
    ASSERT_EQ(finish(view), OperationStatus::kComplete);
    bytes = view.bytes();
    owner = view.owner();
    view.close();
    EXPECT_EQ(finish(readable), OperationStatus::kComplete);
  }
  EXPECT_TRUE(shows(bytes, std::byte{0x33}));
}

TEST_F(View, ClosingItsConnectorClosesIt) {
  auto readable = exposer_.create_readable(source_.descriptor());
  auto view = open(readable.metadata());
  Signal revoked;
  view.on_revoked(revoked.callback());
  viewer_.close();
  EXPECT_TRUE(view.is_quiet());
  EXPECT_TRUE(revoked.wait()) << "at the end, at the latest";
  EXPECT_FALSE(view.is_revoked());
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
  EXPECT_TRUE(shows(view.bytes(), std::byte{0x33}));
  view.close();
}

TEST_F(View, ClosingTheOtherConnectorRecallsItAndDoesNotHang) {
  auto readable = exposer_.create_readable(source_.descriptor());
  auto view = open(readable.metadata());
  Signal revoked;
  view.on_revoked(revoked.callback());
  exposer_.close();
  EXPECT_TRUE(revoked.wait());
  EXPECT_TRUE(is_terminal(readable.status()));
  EXPECT_TRUE(shows(view.bytes(), std::byte{0x33}));
  view.close();
  expect_quiet(view);
}

TEST_F(View, OfHeapMemoryIsRefusedAndItCanStillBeRead) {
  Buffer plain(4096, 6);
  auto readable = exposer_.create_readable(plain.descriptor());
  auto view = viewer_.begin_view(readable.metadata());
  try {
    (void)view.wait_for(kSoon);
    ADD_FAILURE() << "it was not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    const std::string text = error.what();
    EXPECT_EQ(text.find("viewing 4096 bytes of peer "), 0U) << text;
    EXPECT_NE(text.find("Connector::allocate()"), std::string::npos) << text;
  }
  EXPECT_EQ(view.status(), OperationStatus::kErrored);
  EXPECT_TRUE(view.is_quiet());
  Buffer target(4096);
  auto read = viewer_.begin_read(readable.metadata(), target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  target.expect_pattern(6);
}

TEST_F(View, IsRefusedWhereItsPathIsForbidden) {
  ConnectorOptions options = testing::across_processes();
  options.forbid = {"host.map"};
  Connector without(options);
  auto readable = exposer_.create_readable(source_.descriptor());
  auto view = without.begin_view(readable.metadata());
  EXPECT_EQ(kind_of([&] { (void)view.wait_for(kSoon); }), ErrorKind::kUnsupported);
  options.forbid = {"host"};
  Connector elsewhere(options);
  auto remote = elsewhere.create_readable(source_.descriptor());
  auto other = viewer_.begin_view(remote.metadata());
  EXPECT_EQ(kind_of([&] { (void)other.wait_for(kSoon); }), ErrorKind::kUnsupported);
}

TEST_F(View, OfWhatIsNotForReadingOrHasEndedIsRefused) {
  auto writable = exposer_.create_writable(source_.descriptor());
  EXPECT_EQ(kind_of([&] { (void)viewer_.begin_view(writable.metadata()); }),
            ErrorKind::kInvalidArgument);
  auto readable = exposer_.create_readable(source_.descriptor());
  const RdmaMetadata metadata = readable.metadata();
  readable.cancel();
  finish(readable);
  auto view = viewer_.begin_view(metadata);
  EXPECT_EQ(kind_of([&] { (void)view.wait_for(kSoon); }), ErrorKind::kCancelled);
}

}  // namespace
}  // namespace nixl_connect
