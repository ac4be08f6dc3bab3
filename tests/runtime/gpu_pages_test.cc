// SPDX-License-Identifier: Apache-2.0
//
// Operations on pages by their numbers, between two processes and within one, on memory
// of the host and of the stand-in's GPUs.
#include "runtime/gpu_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/cuda/page_kernel_image.h"
#include "paths/cuda/session.h"
#include "paths/cuda/stand_in/control.h"
#include "runtime/gpu_memory.h"

namespace nixl_connect {
namespace {

namespace stand_in = paths::cuda::stand_in;
using paths::cuda::testing::Session;
using testing::Child;
using testing::finish;
using testing::kind_of;
using testing::with_stand_in;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kPage = 1000;
constexpr std::size_t kOfPiece = 300;
constexpr std::size_t kRoom = 2 * (kOfPiece * kPage + 500);

Bytes random_bytes(unsigned seed) {
  std::mt19937 random(seed);
  Bytes bytes(kRoom);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// Two pieces of memory, with room around them; the second may be shorter.
class Cache {
 public:
  Cache(const std::string& where, unsigned seed, std::size_t of_second = kOfPiece)
      : of_second_(of_second) {
    if (where == "gpu0" || where == "gpu1") {
      device_ = Device(DeviceKind::kCuda, where == "gpu0" ? 0 : 1);
      session_ = std::make_unique<Session>(device_.id());
      on_gpu_ = paths::cuda::allocate(session_->driver, kRoom);
      start_ = on_gpu_.get();
    } else if (where == "allocated") {
      arena_.emplace(Connector::allocate(kRoom));
      start_ = reinterpret_cast<std::uintptr_t>(arena_->data());
    } else {
      plain_.resize(kRoom);
      start_ = reinterpret_cast<std::uintptr_t>(plain_.data());
    }
    put(random_bytes(seed));
  }

  std::vector<Descriptor> pieces() const {
    return {at(kFirst, kOfPiece * kPage), at(kSecond, of_second_ * kPage)};
  }
  Pages pages(std::vector<std::uint64_t> indices) const {
    return {pieces(), kPage, std::move(indices)};
  }
  static std::size_t offset_of(std::uint64_t index) {
    return index < kOfPiece ? kFirst + index * kPage
                            : kSecond + (index - kOfPiece) * kPage;
  }

  void put(const Bytes& bytes) const {
    if (session_) return session_->write(start_, bytes);
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(start_));
  }
  Bytes get() const {
    if (session_) return session_->read(start_, kRoom);
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    const auto* const bytes = reinterpret_cast<const std::byte*>(start_);
    return {bytes, bytes + kRoom};
  }

 private:
  static constexpr std::size_t kFirst = kRoom / 2 + 16;
  static constexpr std::size_t kSecond = 16;

  Descriptor at(std::size_t offset, std::size_t size) const {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return {reinterpret_cast<void*>(start_ + offset), size, device_};
  }

  const std::size_t of_second_;
  Device device_;
  std::unique_ptr<Session> session_;
  paths::cuda::DeviceMemory on_gpu_;
  std::optional<Allocation> arena_;
  Bytes plain_;
  std::uintptr_t start_ = 0;
};

std::vector<std::uint64_t> shuffled(std::size_t count, unsigned seed) {
  std::vector<std::uint64_t> indices(2 * kOfPiece);
  std::iota(indices.begin(), indices.end(), 0);
  std::shuffle(indices.begin(), indices.end(), std::mt19937(seed));
  indices.resize(count);
  return indices;
}

// What the target has when the pages of the source are there.
Bytes moved(const Bytes& source, const std::vector<std::uint64_t>& from, Bytes target,
            const std::vector<std::uint64_t>& to) {
  for (std::size_t i = 0; i < from.size(); ++i)
    std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(Cache::offset_of(from[i])),
                kPage,
                target.begin() + static_cast<std::ptrdiff_t>(Cache::offset_of(to[i])));
  return target;
}

struct Case {
  const char* here;
  const char* there;
  const char* path;
};

class PagesByNumber : public ::testing::TestWithParam<std::tuple<Case, std::size_t>> {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override { stand_in::reset(); }

  const Case& where() const { return std::get<0>(GetParam()); }
  std::size_t count() const { return std::get<1>(GetParam()); }

  const std::vector<std::uint64_t> ours_ = shuffled(count(), 1);
  const std::vector<std::uint64_t> theirs_ = shuffled(count(), 2);
  const Cache here_{where().here, 3};
  Connector connector_{options()};

 private:
  ConnectorOptions options() const {
    ConnectorOptions options = with_stand_in();
    if (where().path == std::string("ucx")) options.forbid = {"local", "host"};
    return options;
  }
};

INSTANTIATE_TEST_SUITE_P(
    , PagesByNumber,
    ::testing::Combine(::testing::Values(Case{"gpu1", "gpu0", "cuda.peer"},
                                         Case{"gpu1", "allocated", "cuda.staged"},
                                         Case{"plain", "gpu0", "cuda.staged"},
                                         Case{"plain", "plain", "host.cma"},
                                         Case{"plain", "allocated", "host.map"},
                                         Case{"plain", "plain", "ucx"}),
                       ::testing::Values(3, 400)),
    [](const auto& each) {
      const Case& where = std::get<0>(each.param);
      const bool is_over_ucx = where.path == std::string("ucx");
      return std::string(where.there) + "To" + where.here +
             (is_over_ucx ? "OverUcx" : "") + std::to_string(std::get<1>(each.param));
    });

TEST_P(PagesByNumber, AreReadOfAnotherProcess) {
  const Child owner("pager");
  owner.channel().send(std::string("read ") + where().there);
  const RemotePages remote(RdmaMetadata::from_json(owner.channel().receive_text()),
                           kPage, theirs_);
  auto read = connector_.begin_read(remote, here_.pages(ours_));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_TRUE(read.path().starts_with(where().path)) << read.path();
  EXPECT_EQ(read.bytes_transferred(), count() * kPage);
  EXPECT_EQ(read.explain().ranges, count());
  EXPECT_EQ(here_.get(), moved(random_bytes(4), theirs_, random_bytes(3), ours_));
  ASSERT_EQ(read.descriptors().size(), count());
  EXPECT_EQ(read.descriptors()[1].size(), kPage);
}

TEST_P(PagesByNumber, AreWrittenToAnotherProcess) {
  const Child owner("pager");
  owner.channel().send(std::string("write ") + where().there);
  const RemotePages remote(RdmaMetadata::from_json(owner.channel().receive_text()),
                           kPage, theirs_);
  EXPECT_EQ(connector_.explain(remote, here_.pages(ours_)).path, where().path);
  auto write = connector_.begin_write(here_.pages(ours_), remote);
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  owner.channel().send("get");
  EXPECT_EQ(owner.channel().receive(),
            moved(random_bytes(3), ours_, random_bytes(4), theirs_));
}

TEST_P(PagesByNumber, AreReadWithinThisProcess) {
  const Cache there(where().there, 4);
  Connector other(with_stand_in());
  auto readable = other.create_readable(there.pieces());
  const RemotePages remote(readable.metadata(), kPage, theirs_);
  auto read = connector_.begin_read(remote, here_.pages(ours_));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(finish(readable), OperationStatus::kComplete);
  EXPECT_EQ(here_.get(), moved(there.get(), theirs_, random_bytes(3), ours_));
}

class GpuPages : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override { stand_in::reset(); }

  // Reads pages of another GPU of this process, and gives by which kernel.
  std::string kernel_of_read(const Cache& there, std::size_t count) {
    std::vector<std::uint64_t> indices(count);
    std::iota(indices.begin(), indices.end(), 0);
    const std::vector<std::uint64_t> spread = shuffled(count, 7);
    auto readable = other_.create_readable(there.pieces());
    auto read = connector_.begin_read(RemotePages(readable.metadata(), kPage, indices),
                                      here_.pages(spread));
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(here_.get(), moved(there.get(), indices, random_bytes(3), spread));
    return std::string(stand_in::last_launch().kernel);
  }

  const Cache here_{"gpu1", 3};
  Connector other_{with_stand_in()};
  Connector connector_{with_stand_in()};
};

TEST_F(GpuPages, AreGivenToTheKernelByTheirNumbersIfThereAreMany) {
  if (!paths::cuda::has_page_kernel())
    GTEST_SKIP() << paths::cuda::why_no_page_kernel();
  const Cache there("gpu0", 4);
  EXPECT_EQ(kernel_of_read(there, 200), "nixl_connect_copy_plain_numbered");
  here_.put(random_bytes(3));
  EXPECT_EQ(kernel_of_read(there, 20), "nixl_connect_copy_plain_short");
}

TEST_F(GpuPages, OfPiecesWithOtherCountsAreWrittenOut) {
  if (!paths::cuda::has_page_kernel())
    GTEST_SKIP() << paths::cuda::why_no_page_kernel();
  const Cache there("gpu0", 4, kOfPiece - 1);
  EXPECT_EQ(kernel_of_read(there, 200), "nixl_connect_copy_plain_numbered")
      << "the last piece may be shorter";
  here_.put(random_bytes(3));
  auto readable = other_.create_readable(
      std::vector<Descriptor>{there.pieces()[1], there.pieces()[0]});
  std::vector<std::uint64_t> indices(200);
  std::iota(indices.begin(), indices.end(), kOfPiece - 101);
  auto read = connector_.begin_read(RemotePages(readable.metadata(), kPage, indices),
                                    here_.pages(shuffled(200, 7)));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(stand_in::last_launch().kernel, "nixl_connect_copy_plain");
}

TEST_F(GpuPages, OfOneCacheAreMovedUnlessTheyOverlap) {
  auto readable = other_.create_readable(here_.pieces());
  const RdmaMetadata whole = readable.metadata();
  EXPECT_EQ(kind_of([&] {
              (void)connector_.begin_read(RemotePages(whole, kPage, {0, 1, 2}),
                                          here_.pages({3, 4, 0}));
            }),
            ErrorKind::kInvalidArgument);
  auto read = connector_.begin_read(RemotePages(whole, kPage, {0, 1, 2}),
                                    here_.pages({3, 4, 5}));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(here_.get(), moved(random_bytes(3), {0, 1, 2}, random_bytes(3), {3, 4, 5}));
}

TEST_F(GpuPages, ThatDoNotMatchAreRefused) {
  const Cache there("gpu0", 4);
  auto readable = other_.create_readable(there.pieces());
  const RdmaMetadata whole = readable.metadata();
  const auto kind_of_read = [&](const RemotePages& remote, const Pages& local) {
    return kind_of([&] { (void)connector_.begin_read(remote, local); });
  };
  EXPECT_EQ(kind_of_read(RemotePages(whole, kPage, {1, 2}), here_.pages({1})),
            ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind_of_read(RemotePages(whole, kPage / 2, {1}), here_.pages({1})),
            ErrorKind::kInvalidArgument);
  RdmaMetadata wider = whole;
  wider.descriptors[1].size += kRoom;
  EXPECT_EQ(kind_of_read(RemotePages(wider, kPage, {1}), here_.pages({1})),
            ErrorKind::kInvalidArgument)
      << "not all of it was exposed";
  EXPECT_EQ(readable.status(), OperationStatus::kInitialized);
}

}  // namespace

namespace testing {

// Exposes both pieces of a cache, and tells what is in its memory when that was used.
int pager_role(const Channel& test) {
  Connector connector(with_stand_in());
  std::unique_ptr<Cache> cache;
  std::unique_ptr<PassiveOperation> exposed;
  while (true) {
    const std::string order = test.receive_text();
    if (order == "get") {
      finish(*exposed);
      test.send(cache->get());
      continue;
    }
    const std::size_t blank = order.find(' ');
    cache = std::make_unique<Cache>(order.substr(blank + 1), 4);
    if (order.starts_with("read"))
      exposed = std::make_unique<ReadableOperation>(
          connector.create_readable(cache->pieces()));
    else
      exposed = std::make_unique<WritableOperation>(
          connector.create_writable(cache->pieces()));
    test.send(exposed->metadata().to_json());
  }
}

}  // namespace testing
}  // namespace nixl_connect
