// SPDX-License-Identifier: Apache-2.0
//
// Bad input: a clear error at once, nothing started, nothing touched.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"

namespace nixl_connect {
namespace {

using testing::Buffer;
using testing::finish;
using testing::kind_of;
using testing::kSoon;

class BadInput : public ::testing::Test {
 protected:
  RdmaMetadata readable_metadata() const { return readable_.metadata(); }

  // The call throws kInvalidArgument with a text that says `expected`; the target stays
  // as it was.
  template <typename Call>
  void expect_refused(Call&& call, const std::string& expected) {
    try {
      call();
      ADD_FAILURE() << "nothing was thrown; expected: " << expected;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument) << error.what();
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos)
          << error.what();
    }
    target_.expect_untouched();
  }

  Connector connector_;
  Buffer source_{16, 1};
  Buffer target_{16};
  ReadableOperation readable_ = connector_.create_readable(source_.descriptor());
};

TEST_F(BadInput, OptionsOutOfRangeAreRefused) {
  expect_refused([] { Connector({.worker_id = ""}); }, "worker_id");
  expect_refused([] { Connector({.copy_threads = 0}); }, "copy_threads");
  expect_refused([] { Connector({.copy_threads = 1025}); }, "copy_threads");
  expect_refused([] { Connector({.forbid = {"host.cam"}}); }, "host.cam");
}

TEST_F(BadInput, WritableThatStaysOpenIsRefused) {
  expect_refused(
      [&] { connector_.create_writable(target_.descriptor(), {.stays_open = true}); },
      "stay open");
}

TEST_F(BadInput, MetadataOfTheOtherKindIsRefused) {
  auto writable = connector_.create_writable(target_.descriptor());
  expect_refused(
      [&] { connector_.begin_read(writable.metadata(), target_.descriptor()); },
      "WRITE");
  expect_refused(
      [&] { connector_.begin_write(source_.descriptor(), readable_metadata()); },
      "READ");
}

TEST_F(BadInput, IncompleteMetadataIsRefusedNamingWhatIsMissing) {
  RdmaMetadata metadata = readable_metadata();
  metadata.descriptors.clear();
  expect_refused([&] { connector_.begin_read(metadata, target_.descriptor()); },
                 "no descriptors");
  metadata = readable_metadata();
  metadata.nixl_metadata.clear();
  expect_refused([&] { connector_.begin_read(metadata, target_.descriptor()); },
                 "nixl_metadata");
  metadata = readable_metadata();
  metadata.notification_key.clear();
  expect_refused([&] { connector_.begin_read(metadata, target_.descriptor()); },
                 "notification_key");
  metadata = readable_metadata();
  metadata.operation_kind = OperationKind::kUnspecified;
  expect_refused([&] { connector_.begin_read(metadata, target_.descriptor()); },
                 "<invalid>");
}

TEST_F(BadInput, DamagedBlobIsRefused) {
  RdmaMetadata metadata = readable_metadata();
  metadata.nixl_metadata = "b64:!!";
  expect_refused([&] { connector_.begin_read(metadata, target_.descriptor()); },
                 "base64");
  metadata.nixl_metadata = readable_metadata().nixl_metadata.substr(0, 100);
  EXPECT_EQ(kind_of([&] { connector_.begin_read(metadata, target_.descriptor()); }),
            ErrorKind::kInvalidArgument);
}

TEST_F(BadInput, SizesAndCountsThatDoNotMatchAreRefused) {
  expect_refused(
      [&] {
        connector_.begin_read(readable_metadata(), target_.descriptor().slice(0, 8));
      },
      "8 bytes here and 16");
  const std::vector<Descriptor> two(2, target_.descriptor());
  expect_refused([&] { connector_.begin_read(readable_metadata(), two); },
                 "1 descriptors, but 2");
  expect_refused(
      [&] {
        connector_.begin_read(readable_metadata(), std::span<const Descriptor>());
      },
      "but 0");
}

TEST_F(BadInput, MemoryOutsideWhatWasExposedIsRefused) {
  RdmaMetadata metadata = readable_metadata();
  metadata.descriptors[0].ptr += 1;
  expect_refused([&] { connector_.begin_read(metadata, target_.descriptor()); },
                 "has not exposed");
  metadata.descriptors[0].ptr = UINT64_MAX - 7;
  expect_refused([&] { connector_.begin_read(metadata, target_.descriptor()); },
                 "has not exposed");
}

TEST_F(BadInput, EmptyRangeWithoutAnAddressCompletes) {
  auto readable = connector_.create_readable(Descriptor(nullptr, 0));
  const auto metadata = RdmaMetadata::from_json(readable.metadata().to_json());
  auto read = connector_.begin_read(metadata, Descriptor(nullptr, 0));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
}

TEST_F(BadInput, EmptyListsNullPointersAndNoReadersAreRefused) {
  expect_refused([&] { connector_.create_readable(std::span<const Descriptor>()); },
                 "at least one");
  expect_refused([&] { connector_.create_readable(Descriptor(nullptr, 8)); }, "null");
  expect_refused(
      [&] {
        connector_.create_readable(source_.descriptor(), {.timeout = {}, .readers = 0});
      },
      "readers");
}

TEST_F(BadInput, MixedKindsAreRefusedAndBothStayUsable) {
  const std::vector<Descriptor> mixed{source_.descriptor(),
                                      Descriptor(source_.data(), 8, Device("cuda:0"))};
  expect_refused([&] { connector_.create_readable(mixed); }, "one kind");
  auto readable = connector_.create_readable(mixed[0]);
  auto read = connector_.begin_read(readable.metadata(), target_.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
}

TEST_F(BadInput, GpuMemoryIsUnsupportedAndSaysSo) {
  EXPECT_EQ(
      kind_of([&] {
        connector_.create_readable(Descriptor(source_.data(), 8, Device("cuda:0")));
      }),
      ErrorKind::kUnsupported);
}

TEST_F(BadInput, ReadOnlyMemoryIsRefusedAsTargetOnly) {
  const auto constant = Descriptor::read_only(source_.data(), 16);
  expect_refused([&] { connector_.create_writable(constant); }, "read-only");
  expect_refused([&] { connector_.begin_read(readable_metadata(), constant); },
                 "read-only");
  auto readable = connector_.create_readable(constant);
  auto read = connector_.begin_read(readable.metadata(), target_.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
}

TEST_F(BadInput, ResultsBeforeCompletionAreRefused) {
  auto readable = connector_.create_readable(source_.descriptor());
  auto read = connector_.begin_read(readable.metadata(), target_.descriptor(),
                                    {.timeout = std::chrono::seconds(-1)});
  EXPECT_EQ(kind_of([&] { read.wait(); }), ErrorKind::kTimedOut);
  expect_refused([&] { (void)read.results(); }, "ERR");
}

TEST_F(BadInput, DeadlineInThePastEndsBothSidesWithoutTouchingMemory) {
  const OperationOptions past{.timeout = std::chrono::nanoseconds(-1)};
  auto read = connector_.begin_read(readable_metadata(), target_.descriptor(), past);
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kTimedOut);
  EXPECT_EQ(read.status(), OperationStatus::kErrored);
  auto readable = connector_.create_readable(source_.descriptor(), past);
  EXPECT_EQ(kind_of([&] { (void)readable.wait_for(kSoon); }), ErrorKind::kTimedOut);
  target_.expect_untouched();
}

TEST_F(BadInput, UseAfterCloseIsRefused) {
  const RdmaMetadata metadata = readable_metadata();
  connector_.close();
  expect_refused([&] { connector_.create_readable(source_.descriptor()); }, "closed");
  expect_refused([&] { connector_.begin_read(metadata, target_.descriptor()); },
                 "closed");
}

// The first that an initiator sees of this peer.
TEST_F(BadInput, MemoryGivenBackAfterACancelEndsTheReadAndNoOther) {
  constexpr std::size_t kSize = 1 << 20;
  Connector initiator(testing::across_processes());
  void* memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto readable = connector_.create_readable(Descriptor(memory, kSize));
  readable.cancel();
  ASSERT_EQ(finish(readable), OperationStatus::kCancelled);
  ASSERT_EQ(
      ::mmap(memory, kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
      memory);
  Buffer target(kSize);
  Buffer other(16);
  auto late = initiator.begin_read(readable.metadata(), target.descriptor());
  auto read = initiator.begin_read(readable_metadata(), other.descriptor());
  EXPECT_EQ(kind_of([&] { (void)late.wait_for(kSoon); }), ErrorKind::kCancelled);
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  ::munmap(memory, kSize);
}

TEST_F(BadInput, ForkedChildExitsAfterAConnectorWasDestroyedInACallback) {
  auto connector = std::make_unique<Connector>();
  auto readable = connector->create_readable(source_.descriptor());
  std::promise<void> is_destroyed;
  readable.on_complete([&](OperationStatus) {
    connector.reset();
    is_destroyed.set_value();
  });
  readable.cancel();
  is_destroyed.get_future().get();
  EXPECT_EXIT(std::exit(0), ::testing::ExitedWithCode(0), "");
}

TEST_F(BadInput, ForkedChildIsRefusedAndDoesNotHang) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool is_refused =
        kind_of([&] { connector_.create_readable(source_.descriptor()); }) ==
            ErrorKind::kUnsupported &&
        kind_of([&] { readable_.wait(); }) == ErrorKind::kUnsupported;
    { const ReadableOperation dropped = std::move(readable_); }
    ::_exit(is_refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace nixl_connect
