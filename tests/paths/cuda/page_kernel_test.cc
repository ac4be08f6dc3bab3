// SPDX-License-Identifier: Apache-2.0
//
// How the page kernel is launched; what it does on a GPU is for tests/gpu.
#include "paths/cuda/page_kernel.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "nixl_connect/error.h"
#include "paths/cuda/page_kernel_image.h"
#include "paths/cuda/stand_in_fixture.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using PageKernels = StandInTest;

// The stand-in does not look at it.
constexpr int kImage = 0;

DeviceFacts facts_of_first() { return find_devices(driver_under_test()).at(0); }

std::vector<std::byte> random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// `count` pages between two allocations, each with 7 bytes of room behind it.
struct Scene {
  Scene(const Session& session, std::size_t count, std::size_t page_size)
      : stride(page_size + 7),
        source(allocate(session.driver, count * stride)),
        target(allocate(session.driver, count * stride)),
        bytes(random_bytes(count * stride, 1)),
        expected(count * stride) {
    session.write(source.get(), bytes);
    session.fill(target.get(), 0, count * stride);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t to = (i * 7 + 3) % count * stride;
      pages.push_back({source.get() + i * stride, target.get() + to, page_size});
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(i * stride), page_size,
                  expected.begin() + static_cast<std::ptrdiff_t>(to));
    }
  }

  std::size_t stride;
  DeviceMemory source;
  DeviceMemory target;
  std::vector<std::byte> bytes;
  std::vector<std::byte> expected;
  std::vector<Page> pages;
};

TEST_F(PageKernels, CopyAShortListWithTheLaunchAlone) {
  const Session session;
  PageKernel kernel(session.driver, facts_of_first(), &kImage);
  const Scene scene(session, 12, 3000);
  kernel.copy(session.stream(), scene.pages);
  EXPECT_EQ(session.read(scene.target.get(), scene.expected.size()), scene.expected);
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 1U);
  EXPECT_EQ(stand_in::calls("cuMemHostRegister"), 0U);
}

TEST_F(PageKernels, CopyALongListFromEitherPlaceAndUseItsRoomAgain) {
  const Session session;
  PageKernel kernel(session.driver, facts_of_first(), &kImage);
  for (const auto place :
       {PageCopyOptions::ListPlace::kGpu, PageCopyOptions::ListPlace::kHost}) {
    const Scene scene(session, 2000, 300);
    kernel.copy(session.stream(), scene.pages, {.list_place = place});
    EXPECT_EQ(session.read(scene.target.get(), scene.expected.size()), scene.expected);
  }
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 2U);
  EXPECT_EQ(stand_in::calls("cuMemHostRegister"), 1U);
}

TEST_F(PageKernels, KeepListsThatKernelsAreYetToRead) {
  const Session session;
  PageKernel kernel(session.driver, facts_of_first(), &kImage);
  const Scene first(session, 2000, 300);
  const Scene second(session, 2000, 300);
  stand_in::hold_streams();
  kernel.copy(session.stream(), first.pages);
  kernel.copy(session.stream(), second.pages);
  stand_in::release_streams();
  EXPECT_EQ(session.read(first.target.get(), first.expected.size()), first.expected);
  EXPECT_EQ(session.read(second.target.get(), second.expected.size()), second.expected);
}

// More than fit into one room, and more launches than there are rooms.
TEST_F(PageKernels, MakeNoFurtherRoomHoweverLongListsAreAndHowManyAreRead) {
  const Session session;
  PageKernel kernel(session.driver, facts_of_first(), &kImage);
  kernel.make_lists();
  const unsigned allocated = stand_in::calls("cuMemAlloc");
  const Scene scene(session, 100'000, 8);
  const unsigned of_scene = stand_in::calls("cuMemAlloc") - allocated;
  for (int i = 0; i < 3; ++i) kernel.copy(session.stream(), scene.pages);
  EXPECT_EQ(session.read(scene.target.get(), scene.expected.size()), scene.expected);
  for (int i = 0; i < 20; ++i)
    kernel.copy(session.stream(), std::span(scene.pages).first(1000));
  session.finish();
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 3U * 3 + 20);
  EXPECT_EQ(stand_in::calls("cuMemAlloc"), allocated + of_scene);
  EXPECT_EQ(stand_in::calls("cuMemHostRegister"), 1U);
}

// Of pieces that are no neighbours, the last of them shorter.
TEST_F(PageKernels, CopyPagesByTheirNumbers) {
  constexpr std::size_t kPage = 300;
  constexpr std::size_t kOfPiece = 700;
  constexpr std::size_t kCount = 1500;
  const Session session;
  PageKernel kernel(session.driver, facts_of_first(), &kImage);
  const Scene scene(session, 3 * kOfPiece, kPage);
  const auto piece = [&](const DeviceMemory& memory, std::size_t at,
                         std::size_t pages) {
    return base::PagedMemory::Piece{memory.get() + at, pages * kPage};
  };
  std::vector<std::uint64_t> from(2 * kOfPiece);
  std::iota(from.begin(), from.end(), 0);
  std::vector<std::uint64_t> to(kCount);
  std::iota(to.begin(), to.end(), 0);
  std::shuffle(from.begin(), from.end(), std::mt19937(1));
  std::shuffle(to.begin(), to.end(), std::mt19937(2));
  from.resize(kCount, 3);
  const PagedPair pages{
      {{piece(scene.source, 5 * kPage, kOfPiece),
        piece(scene.source, kOfPiece * kPage + 5000, kOfPiece)},
       kPage,
       std::make_shared<const std::vector<std::uint64_t>>(from)},
      {{piece(scene.target, 1, kOfPiece), piece(scene.target, 250'000, kOfPiece),
        piece(scene.target, 500'000, kCount - 2 * kOfPiece)},
       kPage,
       std::make_shared<const std::vector<std::uint64_t>>(to)}};
  ASSERT_TRUE(are_for_numbers(pages));
  std::vector<std::byte> expected(scene.expected.size());
  for (const Page& page : written_out(pages))
    std::copy_n(scene.bytes.begin() +
                    static_cast<std::ptrdiff_t>(page.source - scene.source.get()),
                page.size,
                expected.begin() +
                    static_cast<std::ptrdiff_t>(page.target - scene.target.get()));
  kernel.copy(session.stream(), pages, 0, 900);
  kernel.copy(session.stream(), pages, 900, kCount - 900);
  EXPECT_EQ(session.read(scene.target.get(), expected.size()), expected);
  EXPECT_EQ(stand_in::last_launch().kernel, "nixl_connect_copy_plain_numbered");
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 2U);
}

TEST_F(PageKernels, TakeNumbersOfPiecesWithAsManyPages) {
  const auto indices = std::make_shared<const std::vector<std::uint64_t>>(1, 0);
  const auto are_taken = [&](std::vector<base::PagedMemory::Piece> pieces) {
    const base::PagedMemory memory(std::move(pieces), 100, indices);
    return are_for_numbers({memory, memory});
  };
  EXPECT_TRUE(are_taken({{0, 399}}));
  EXPECT_TRUE(are_taken({{0, 400}, {1000, 400}, {2000, 299}}));
  EXPECT_FALSE(are_taken({{0, 400}, {1000, 300}, {2000, 400}}));
  EXPECT_FALSE(are_taken({{0, 300}, {1000, 400}}));
  EXPECT_FALSE(are_taken({{0, 0}, {1000, 0}, {2000, 400}}));
  EXPECT_FALSE(are_taken({{0, 100 * (std::uint64_t{1} << 33)}}));
}

TEST_F(PageKernels, CountWhichNumberedPagesCanGoInBulk) {
  const auto indices = std::make_shared<const std::vector<std::uint64_t>>(7, 0);
  const auto sums_of = [&](std::uint64_t source, std::uint64_t page_bytes) {
    return sum_up(PagedPair{{{{source, 1 << 20}}, page_bytes, indices},
                            {{{1024 + 8, 1 << 20}}, page_bytes, indices}},
                  7);
  };
  EXPECT_EQ(sums_of(8, 4096).bulk_bytes, 7 * 4096U);
  EXPECT_EQ(sums_of(9, 4096).bulk_bytes, 0U);
  EXPECT_EQ(sums_of(8, 4097).bulk_bytes, 0U);
  EXPECT_EQ(sums_of(8, 256).bulk_bytes, 0U);
  EXPECT_EQ(sums_of(8, 256).bytes, 7 * 256U);
}

TEST_F(PageKernels, DoNothingForEmptyPages) {
  const Session session;
  PageKernel kernel(session.driver, facts_of_first(), &kImage);
  kernel.copy(session.stream(), {});
  kernel.copy(session.stream(), std::vector<Page>(3));
  EXPECT_EQ(stand_in::calls("cuLaunchKernel"), 0U);
}

TEST_F(PageKernels, TellWhatFailedAtTheLaunch) {
  const Session session;
  PageKernel kernel(session.driver, facts_of_first(), &kImage);
  const Scene scene(session, 2, 3000);
  stand_in::fail("cuLaunchKernel", kCuOutOfMemory);
  try {
    kernel.copy(session.stream(), scene.pages);
    FAIL() << "launched";
  } catch (const Error& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("launching the page kernel: "));
  }
}

TEST(PageKernelImage, IsThereOrTheReasonIs) {
  EXPECT_EQ(has_page_kernel(), why_no_page_kernel().empty());
}

TEST(PageKernelImage, RunsOnWhatItIsCompiledForAndOnNewerGpus) {
  struct Case {
    int gpu;
    std::vector<int> compiled_for;
    bool runs;
  };
  for (const Case& each : {Case{90, {80, 90, 100}, true},
                           {75, {80, 90, 100}, false},
                           {80, {80, 90, 100}, true},
                           {89, {80, 90, 100}, true},
                           {89, {80}, true},
                           {86, {89, 90}, false},
                           {121, {80, 90, 100}, true},
                           {90, {80, 100}, false},
                           {90, {}, false}})
    EXPECT_EQ(runs_on(each.gpu, each.compiled_for), each.runs) << each.gpu;
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
