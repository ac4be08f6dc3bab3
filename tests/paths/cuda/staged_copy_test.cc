// SPDX-License-Identifier: Apache-2.0
//
// Copies between a GPU and memory of the host that is not pinned, of this process and
// of another one.
#include "paths/cuda/staged_copy.h"

#include <sys/mman.h>

#include "paths/cuda/copy_owner.h"
#include "paths/cuda/exporter.h"
#include "paths/cuda/staged_copies.h"
#include "paths/cuda/stand_in_fixture.h"
#include "paths/host/exposing_process.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using host::Fault;
using host::testing::ExposingProcess;
using host::testing::pattern;

constexpr Direction kBothWays[] = {Direction::kToGpu, Direction::kFromGpu};

std::vector<std::byte> pattern_of(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = pattern(i);
  return bytes;
}

// Memory of the GPU and of this process, with random bytes.
class StagedCopyTest : public StandInTest {
 protected:
  StagedCopyTest() { make(1, nullptr); }

  void make(unsigned threads, const void* kernel_image) {
    copies_ = std::make_unique<StagedCopies>(
        threads, std::make_shared<Staging>(session_.driver, kernel_image));
  }
  void prepare(std::size_t size) {
    on_host_ = random_content(size, 1);
    on_gpu_ = random_content(size, 2);
    gpu_ = allocate(session_.driver, size);
    session_.write(gpu_.get(), on_gpu_);
  }
  StagedWork work(Direction direction) const {
    return {.device = 0, .direction = direction, .move_host = own_memory()};
  }
  host::Ranges ranges(const std::vector<Place>& places) const {
    return ranges_of(places, gpu_.get(),
                     reinterpret_cast<std::uintptr_t>(on_host_.data()), false);
  }
  // Moves them and compares both sides as a whole.
  void expect_moved(const std::vector<Place>& places, Direction direction) {
    prepare(size_for(places));
    const bool is_up = direction == Direction::kToGpu;
    const auto expected = moved(places, direction, is_up ? on_host_ : on_gpu_,
                                is_up ? on_gpu_ : on_host_);
    const auto source = is_up ? on_host_ : on_gpu_;
    const auto copy = copies_->copy(work(direction), ranges(places));
    EXPECT_TRUE(copy->is_complete()) << copy->cause().text;
    EXPECT_EQ(copies_->progress(), copy->bytes());
    const auto gpu = session_.read(gpu_.get(), on_gpu_.size());
    EXPECT_TRUE((is_up ? gpu : on_host_) == expected);
    EXPECT_TRUE((is_up ? on_host_ : gpu) == source);
  }
  std::vector<std::byte> read_gpu() const {
    return session_.read(gpu_.get(), on_gpu_.size());
  }

  const Session session_;
  DeviceMemory gpu_;
  std::vector<std::byte> on_host_;
  std::vector<std::byte> on_gpu_;
  std::unique_ptr<StagedCopies> copies_;
};

// A helper that was too late for a piece may keep the copy for a while. By then the
// peer may have freed its memory, and have new memory at the same address.
TEST_F(StagedCopyTest, HoldsNothingOfThePeersAtItsEnd) {
  const std::vector<Place> places{{0, 0, 1000}};
  prepare(1000);
  const auto mapping = std::make_shared<int>();
  StagedWork held = work(Direction::kToGpu);
  held.held.emplace_back(mapping, nullptr);
  const auto copy = copies_->copy(std::move(held), ranges(places));
  EXPECT_TRUE(copy->is_complete());
  EXPECT_EQ(mapping.use_count(), 1);
}

TEST_F(StagedCopyTest, MovesRangesOfAnySizeAndAlignment) {
  constexpr std::size_t kSlot = Staging::kSlotBytes;
  for (const Direction direction : kBothWays)
    for (const std::size_t size : {std::size_t{1}, std::size_t{127}, std::size_t{4096},
                                   kSlot - 1, kSlot + 1, 3 * kSlot, 9 * kSlot + 13})
      for (const std::size_t offset : {0, 1, 127}) {
        SCOPED_TRACE(std::to_string(size) + " at " + std::to_string(offset));
        expect_moved({{offset, 3 * offset, size}}, direction);
      }
}

TEST_F(StagedCopyTest, MovesThousandsOfRangesByTheKernelOrTheEngines) {
  for (const void* const image :
       {static_cast<const void*>(&kKernelImage), static_cast<const void*>(nullptr)})
    for (const std::size_t largest : {40, 900, 5000})
      for (const Direction direction : kBothWays) {
        make(3, image);
        expect_moved(scattered(3000, largest), direction);
      }
  EXPECT_GT(stand_in::calls("cuLaunchKernel"), 100U);
  EXPECT_EQ(stand_in::calls("cuModuleLoadData"), 6U) << "once a GPU";
}

TEST_F(StagedCopyTest, LeavesMultiprocessorsAloneIfItIsToldSo) {
  const auto places = scattered(300, 900);
  prepare(size_for(places));
  make(1, &kKernelImage);
  StagedWork without = work(Direction::kToGpu);
  without.max_blocks = 0;
  EXPECT_TRUE(copies_->copy(std::move(without), ranges(places))->is_complete());
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 0U);
  EXPECT_TRUE(read_gpu() == moved(places, Direction::kToGpu, on_host_, on_gpu_));
}

TEST_F(StagedCopyTest, IsMovedByAnyNumberOfThreads) {
  for (unsigned threads = 1; threads <= 8; ++threads)
    for (const Direction direction : kBothWays) {
      make(threads, nullptr);
      expect_moved({{5, 7, (9 << 20) + 3}, {10 << 20, 11 << 20, 1000}}, direction);
    }
}

TEST_F(StagedCopyTest, MergesNeighbours) {
  std::vector<Place> places;
  for (std::size_t i = 0; i < 100; ++i) places.push_back({i * 50 + 3, i * 50 + 4, 50});
  make(1, &kKernelImage);
  expect_moved(places, Direction::kToGpu);
  EXPECT_EQ(stand_in::calls("cuModuleLoadData"), 1U);
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 0U);
}

TEST_F(StagedCopyTest, GivesTheEnginesPinnedMemoryOnlyAndKeepsIt) {
  prepare(3 << 20);
  const unsigned before = stand_in::pageable_copies();
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(copies_->copy(work(Direction::kToGpu), ranges({{0, 0, 3 << 20}}))
                    ->is_complete());
  EXPECT_EQ(stand_in::pageable_copies(), before);
  EXPECT_EQ(stand_in::calls("cuMemHostRegister"), 2U) << "slots and word";
  EXPECT_EQ(stand_in::calls("cuStreamSynchronize"), 1U) << "only the test waits so";
  copies_.reset();
  EXPECT_EQ(stand_in::calls("cuMemHostUnregister"), 2U);
}

TEST_F(StagedCopyTest, LeavesTheCurrentContextOfTheThreadAlone) {
  prepare(5000);
  const PrimaryContext other(session_.driver, 1);
  const CurrentContext current(session_.driver, other.get());
  const auto staging = std::make_shared<Staging>(session_.driver, nullptr);
  std::atomic<std::uint64_t> progress{0};
  StagedCopy copy(staging, work(Direction::kToGpu), ranges({{0, 0, 5000}}), 1,
                  progress);
  EXPECT_EQ(copy.move_piece(), StagedCopy::Step::kEnded);
  EXPECT_TRUE(copy.is_complete());
  CuContext found = nullptr;
  session_.functions.context_get_current(&found);
  EXPECT_EQ(found, other.get());
}

TEST_F(StagedCopyTest, EndsWhenTheGpuIsDone) {
  prepare(1 << 20);
  stand_in::hold_streams();
  const auto copy = copies_->add(work(Direction::kToGpu), ranges({{0, 0, 1 << 20}}));
  stand_in::wait_for_calls("cuStreamQuery", 3);
  EXPECT_FALSE(copies_->has_ended()) << "all that is left is the GPU's";
  stand_in::release_streams();
  copies_->wait();
  EXPECT_TRUE(copy->is_complete());
  EXPECT_TRUE(read_gpu() == on_host_);
}

TEST_F(StagedCopyTest, StopsWithThePiecesThatAreUnderWay) {
  for (const Direction direction : kBothWays) {
    SCOPED_TRACE(direction == Direction::kToGpu);
    stand_in::reset();
    make(2, nullptr);
    prepare(20 << 20);
    const auto before = on_host_;
    stand_in::hold_streams();
    const auto copy = copies_->add(work(direction), ranges({{0, 0, 20 << 20}}));
    stand_in::wait_for_calls("cuStreamWriteValue32", 4);
    EXPECT_EQ(copy->stop(), StagedCopy::Step::kGoesOn);
    EXPECT_FALSE(copies_->has_ended());
    stand_in::release_streams();
    copies_->wait();
    EXPECT_TRUE(copy->was_stopped());
    EXPECT_EQ(copy->fault(), Fault::kNone);
    EXPECT_EQ(copy->bytes_moved(), std::uint64_t{8} << 20) << "one of each thread";
    const auto moved_bytes = static_cast<std::ptrdiff_t>(copy->bytes_moved());
    const auto gpu = read_gpu();
    EXPECT_TRUE(std::equal(gpu.begin(), gpu.begin() + moved_bytes, on_host_.begin()));
    const auto& target = direction == Direction::kToGpu ? gpu : on_host_;
    const auto& old = direction == Direction::kToGpu ? on_gpu_ : before;
    EXPECT_TRUE(std::equal(target.begin() + moved_bytes, target.end(),
                           old.begin() + moved_bytes));
  }
}

// Each call that a copy makes fails once: it ends with the driver's words, or does
// without, and the next one finds all as it should be.
TEST_F(StagedCopyTest, EndsWithTheWordsOfADriverThatFails) {
  const auto places = scattered(200, 2000);
  for (const char* const function :
       {"cuDeviceGetCount", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent",
        "cuModuleLoadData", "cuModuleGetFunction", "cuFuncGetAttribute",
        "cuFuncSetAttribute", "cuMemHostRegister", "cuMemHostGetDevicePointer",
        "cuStreamCreate", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuLaunchKernel",
        "cuStreamWriteValue32"})
    for (const Direction direction : kBothWays)
      for (unsigned spared = 0; spared < 4; ++spared) {
        SCOPED_TRACE(std::string(function) + " " + std::to_string(spared));
        stand_in::reset();
        make(2, spared % 2 == 0 ? &kKernelImage : nullptr);
        prepare(size_for(places));
        stand_in::fail(function, kCuOutOfMemory, spared);
        const auto copy = copies_->copy(work(direction), ranges(places));
        if (!copy->is_complete()) {
          EXPECT_EQ(copy->fault(), Fault::kGpu);
          EXPECT_EQ(copy->cause().kind, ErrorKind::kNoResources);
          EXPECT_NE(copy->cause().text.find("CUDA_ERROR_OUT_OF_MEMORY"),
                    std::string::npos)
              << copy->cause().text;
        }
        stand_in::fail(function, kCuSuccess);
        expect_moved(places, direction);
      }
}

TEST_F(StagedCopyTest, FailsIfTheFirstCallsDo) {
  prepare(5000);
  for (const char* const function :
       {"cuMemHostRegister", "cuStreamCreate", "cuStreamWriteValue32"}) {
    make(1, nullptr);
    stand_in::fail(function, kCuOutOfMemory);
    const auto copy = copies_->copy(work(Direction::kToGpu), ranges({{0, 0, 5000}}));
    EXPECT_EQ(copy->fault(), Fault::kGpu) << function;
    EXPECT_EQ(copy->bytes_moved(), 0U);
  }
}

// The first of two copies of a slot is on its way when the second fails.
TEST_F(StagedCopyTest, KeepsSlotsThatTheGpuStillUsesAfterAFailure) {
  prepare(10'000);
  stand_in::hold_streams();
  stand_in::fail("cuMemcpyHtoDAsync", kCuUnknown, 1);
  const auto copy =
      copies_->add(work(Direction::kToGpu), ranges({{0, 0, 1000}, {2000, 2000, 1000}}));
  stand_in::wait_for_calls("cuStreamQuery", 2);
  EXPECT_FALSE(copies_->has_ended());
  EXPECT_EQ(stand_in::calls("cuMemHostUnregister"), 0U);
  stand_in::release_streams();
  copies_->wait();
  EXPECT_EQ(copy->fault(), Fault::kGpu);
  EXPECT_EQ(copy->cause().kind, ErrorKind::kInternal);
  expect_moved({{0, 0, 10'000}}, Direction::kFromGpu);
}

TEST_F(StagedCopyTest, GivesUpAGpuWhoseDriverDoesNotSayWhetherItIsDone) {
  prepare(10'000);
  stand_in::hold_streams();
  const auto copy = copies_->add(work(Direction::kToGpu), ranges({{0, 0, 1000}}));
  stand_in::wait_for_calls("cuStreamQuery", 1);
  stand_in::poison(0, kCuUnknown);
  copies_->wait();
  EXPECT_EQ(copy->fault(), Fault::kGpu);
  stand_in::poison(0, kCuSuccess);
  const auto next = copies_->copy(work(Direction::kToGpu), ranges({{0, 0, 1000}}));
  EXPECT_EQ(next->failure()->cause, CopyFailure::Cause::kPoisoned);
  EXPECT_EQ(stand_in::calls("cuMemHostUnregister"), 0U) << "the GPU may still use it";
}

TEST_F(StagedCopyTest, EndsWithItsContextAndAllLaterOnesAtOnce) {
  make(3, nullptr);
  prepare(20 << 20);
  stand_in::hold_streams();
  const auto copy = copies_->add(work(Direction::kFromGpu), ranges({{0, 0, 20 << 20}}));
  stand_in::wait_for_calls("cuStreamWriteValue32", 6);
  stand_in::poison(0, kCuIllegalAddress);
  stand_in::release_streams();
  copies_->wait();
  EXPECT_EQ(copy->fault(), Fault::kGpu);
  EXPECT_NE(copy->cause().text.find("CUDA is of no further use"), std::string::npos)
      << copy->cause().text;
  const unsigned copies = stand_in::calls("cuMemcpyDtoHAsync");
  const auto next = copies_->copy(work(Direction::kFromGpu), ranges({{0, 0, 1000}}));
  EXPECT_EQ(next->failure()->cause, CopyFailure::Cause::kPoisoned);
  EXPECT_EQ(next->cause().text, copy->cause().text);
  EXPECT_EQ(stand_in::calls("cuMemcpyDtoHAsync"), copies);
}

TEST_F(StagedCopyTest, SaysThatThereIsNoSuchGpu) {
  prepare(100);
  StagedWork elsewhere = work(Direction::kToGpu);
  elsewhere.device = 7;
  const auto copy = copies_->copy(std::move(elsewhere), ranges({{0, 0, 100}}));
  EXPECT_EQ(copy->cause().text, "there is no GPU 7");
  EXPECT_EQ(copy->cause().kind, ErrorKind::kInvalidArgument);
}

// Plain memory of another process, by CMA.
class StagedCopyOfPeer : public StagedCopyTest {
 protected:
  StagedWork work(Direction direction, const ExposingProcess& peer) const {
    return {.device = 0,
            .is_gpu_local = true,
            .direction = direction,
            .move_host = memory_of(peer.lease()),
            .checks_lease = true};
  }
  static std::vector<std::byte> read(const ExposingProcess& peer, std::size_t size) {
    std::vector<std::byte> bytes(size);
    host::Batch batch;
    batch.add({reinterpret_cast<std::uintptr_t>(bytes.data()), peer.address(), size});
    EXPECT_EQ(batch.move(OperationKind::kRead, peer.lease()).bytes, size);
    return bytes;
  }
  std::shared_ptr<StagedCopy> copy_all(Direction direction,
                                       const ExposingProcess& peer) {
    return copies_->copy(
        work(direction, peer),
        ranges_of({{0, 0, on_gpu_.size()}}, gpu_.get(), peer.address(), true));
  }
};

TEST_F(StagedCopyOfPeer, MovesThousandsOfRanges) {
  const auto places = scattered(3000, 900);
  const std::size_t size = size_for(places);
  for (const void* const image :
       {static_cast<const void*>(&kKernelImage), static_cast<const void*>(nullptr)})
    for (const Direction direction : kBothWays) {
      const ExposingProcess peer(size, host::testing::fill);
      make(4, image);
      prepare(size);
      const auto theirs = pattern_of(size);
      const auto copy = copies_->copy(
          work(direction, peer), ranges_of(places, gpu_.get(), peer.address(), true));
      EXPECT_TRUE(copy->is_complete()) << copy->cause().text;
      const bool is_up = direction == Direction::kToGpu;
      EXPECT_TRUE(read_gpu() ==
                  (is_up ? moved(places, direction, theirs, on_gpu_) : on_gpu_));
      EXPECT_TRUE(read(peer, size) ==
                  (is_up ? theirs : moved(places, direction, on_gpu_, theirs)));
    }
}

TEST_F(StagedCopyOfPeer, MovesLargeRanges) {
  constexpr std::size_t kTotal = (21 << 20) + 5;
  const ExposingProcess peer(kTotal, host::testing::fill);
  make(4, nullptr);
  prepare(kTotal);
  EXPECT_TRUE(copy_all(Direction::kToGpu, peer)->is_complete());
  EXPECT_TRUE(read_gpu() == pattern_of(kTotal));
  session_.write(gpu_.get(), on_gpu_);
  EXPECT_TRUE(copy_all(Direction::kFromGpu, peer)->is_complete());
  EXPECT_TRUE(read(peer, kTotal) == on_gpu_);
}

TEST_F(StagedCopyOfPeer, LeavesTheGpuAloneIfTheLeaseIsOver) {
  constexpr std::size_t kTotal = 2 << 20;
  const ExposingProcess peer(kTotal, host::testing::fill);
  prepare(kTotal);
  for (const Direction direction : kBothWays) {
    StagedWork late = work(direction, peer);
    host::LeaseWord lease = peer.lease();
    ++lease.token;
    late.move_host = memory_of(lease);
    const auto copy = copies_->copy(
        std::move(late), ranges_of({{0, 0, kTotal}}, gpu_.get(), peer.address(), true));
    EXPECT_EQ(copy->fault(), Fault::kLeaseOver);
    EXPECT_EQ(copy->bytes_moved(), 0U);
  }
  EXPECT_TRUE(read_gpu() == on_gpu_);
  EXPECT_TRUE(read(peer, kTotal) == pattern_of(kTotal));
}

TEST_F(StagedCopyOfPeer, EndsWithTheFaultOfThatMemory) {
  constexpr std::size_t kTotal = 8 << 20;
  ExposingProcess peer(kTotal, [](const host::testing::Pages& memory) {
    memory.fill();
    ::munmap(memory.data() + (6 << 20), 4096);
  });
  prepare(kTotal);
  for (const Direction direction : kBothWays) {
    const auto copy = copy_all(direction, peer);
    EXPECT_EQ(copy->fault(), Fault::kRemoteMemory);
    EXPECT_GE(copy->bytes_moved(), std::uint64_t{4} << 20) << "the first piece";
    EXPECT_LE(copy->bytes_moved(), std::uint64_t{6} << 20);
  }
  peer.kill_and_reap();
  for (const Direction direction : kBothWays)
    EXPECT_EQ(copy_all(direction, peer)->fault(), Fault::kPeerGone);
}

TEST_F(StagedCopyTest, JoinsNothingOfTwoAllocations) {
  prepare(3000);
  StagedWork divided = work(Direction::kToGpu);
  divided.walls = {gpu_.get() + 1000};
  const auto copy =
      copies_->copy(std::move(divided), ranges({{0, 0, 1000}, {1000, 1000, 1000}}));
  EXPECT_TRUE(copy->is_complete());
  EXPECT_EQ(stand_in::calls("cuMemcpyHtoDAsync"), 3U) << "one is the test's";
}

TEST_F(StagedCopyTest, LeavesMemoryAloneThatIsExposedNoMore) {
  prepare(2 << 20);
  const std::vector<Descriptor> exposed{Descriptor(on_host_.data(), on_host_.size())};
  StagedWork held = work(Direction::kToGpu);
  unsigned releases = 0;
  const auto exposure = std::make_shared<local::Exposure>(exposed, [&] { ++releases; });
  held.exposure = exposure;
  EXPECT_TRUE(copies_->copy(held, ranges({{0, 0, 2 << 20}}))->checks_lease());
  EXPECT_FALSE(exposure->is_held());
  session_.write(gpu_.get(), on_gpu_);
  exposure->end();
  const auto late = copies_->copy(held, ranges({{0, 0, 2 << 20}}));
  EXPECT_EQ(late->fault(), Fault::kLeaseOver);
  EXPECT_TRUE(read_gpu() == on_gpu_);
}

// Memory of a GPU of another process, and plain memory of this one.
TEST_F(StagedCopyTest, MovesMemoryThatTheCudaThreadHasOpened) {
  constexpr std::size_t kTotal = 1'000'000;
  const Exporter exporter;
  const auto exported = exporter.allocate(kTotal + 50, 7);
  Owner owner;
  on_host_ = bytes_of(1, kTotal);
  for (const Direction direction :
       {Direction::kFromGpu, Direction::kToGpu, Direction::kFromGpu}) {
    CopyWork opening{.foreign_side = CopyWork::Foreign::kSources,
                     .only_prepares = true};
    opening.ranges = {{exported.memory.chunks[0].start + 50, 0, kTotal}};
    opening.foreign.push_back({exported.memory, {}, nullptr});
    auto opened = owner.copy(std::move(opening));
    ASSERT_FALSE(opened->failure());
    auto [pages, held] = opened->take_prepared();
    StagedWork staged = work(direction);
    staged.held = std::move(held);
    const auto copy = copies_->copy(
        std::move(staged),
        {{reinterpret_cast<std::uintptr_t>(on_host_.data()), pages[0].source, kTotal}});
    EXPECT_TRUE(copy->is_complete()) << copy->cause().text;
    EXPECT_EQ(copy->bytes_moved(), kTotal);
    const bool is_first = on_host_.front() == std::byte{7};
    EXPECT_TRUE(on_host_ == bytes_of(is_first ? 7 : 9, kTotal));
    std::fill(on_host_.begin(), on_host_.end(), std::byte{9});
  }
  EXPECT_EQ(stand_in::calls("cuIpcOpenMemHandle"), 1U);
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
