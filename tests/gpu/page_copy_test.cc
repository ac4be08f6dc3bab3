// SPDX-License-Identifier: Apache-2.0
//
// That the page kernel copies pages of any size and alignment, and touches nothing
// else.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>

#include "gpu/gpu.h"
#include "paths/cuda/page_kernel_image.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using Way = PageCopyOptions::Way;
using ListPlace = PageCopyOptions::ListPlace;

constexpr std::byte kGuard{0xA5};
constexpr std::size_t kGuardBytes = 64;

std::vector<std::byte> random_bytes(std::size_t size) {
  std::mt19937_64 random(size);
  std::vector<std::byte> bytes(size + 8);
  for (std::size_t i = 0; i < size; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(&bytes[i], &word, sizeof word);
  }
  bytes.resize(size);
  return bytes;
}

struct Shape {
  std::size_t source_offset = 0;  // past a multiple of 64
  std::size_t target_offset = 0;
  std::size_t size = 0;
};

// Offsets of one page behind the other, with guard bytes around each.
struct Layout {
  explicit Layout(const std::vector<Shape>& shapes) {
    for (const Shape& shape : shapes) {
      const auto place = [&](std::size_t& end, std::size_t offset) {
        const std::size_t start = (end + kGuardBytes + 63) / 64 * 64 + offset;
        end = start + shape.size;
        return start;
      };
      pages.push_back({place(source_size, shape.source_offset),
                       place(target_size, shape.target_offset), shape.size});
    }
    source_size += kGuardBytes;
    target_size += kGuardBytes;
  }

  std::vector<Page> pages;
  std::size_t source_size = 0;
  std::size_t target_size = 0;
};

class PageCopy : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = Machine::why_not(); !reason.empty())
      GTEST_SKIP() << reason;
    if (!has_page_kernel()) GTEST_SKIP() << why_no_page_kernel();
  }

  // Copies by the kernel, and compares the whole target with what it has to be.
  static void check(const std::vector<Shape>& shapes, const Route& route,
                    const PageCopyOptions& options) {
    Layout layout(shapes);
    std::shuffle(layout.pages.begin(), layout.pages.end(), std::mt19937_64(1));
    const auto bytes = random_bytes(layout.source_size);
    std::vector<std::byte> expected(layout.target_size, kGuard);
    for (const Page& page : layout.pages)
      std::memcpy(&expected[page.target], &bytes[page.source], page.size);
    const auto source = allocate_on(route.source, layout.source_size);
    const auto target = allocate_on(route.target, layout.target_size);
    write(source.get(), bytes);
    fill(target.get(), static_cast<unsigned char>(kGuard), layout.target_size);
    for (Page& page : layout.pages) {
      page.source += source.get();
      page.target += target.get();
    }
    const Gpu& gpu = *Machine::instance().gpus[0];
    gpu.kernel->copy(gpu.stream.get(), layout.pages, options);
    const auto seen = read(target.get(), layout.target_size);
    const auto wrong = std::mismatch(seen.begin(), seen.end(), expected.begin());
    ASSERT_EQ(wrong.first, seen.end())
        << route.name << ", way " << static_cast<int>(options.way) << ", blocks "
        << options.max_blocks << ": byte " << wrong.first - seen.begin() << " of "
        << seen.size();
    ASSERT_EQ(read(source.get(), layout.source_size), bytes) << "the source changed";
  }
};

constexpr std::array kWays{Way::kAuto, Way::kBulk, Way::kPlain};

TEST_F(PageCopy, TakesEveryAlignmentOfSourceAndTarget) {
  std::vector<Shape> shapes;
  std::mt19937_64 random(2);
  for (std::size_t source = 0; source < 64; ++source)
    for (std::size_t target = 0; target < 64; ++target)
      shapes.push_back({source, target, random() % 700});
  for (const Route& route : routes())
    for (const Way way : kWays) check(shapes, route, {.max_blocks = 16, .way = way});
}

TEST_F(PageCopy, TakesEverySizeFromNothingOn) {
  for (const std::size_t offset : {0, 1, 8, 16, 60}) {
    std::vector<Shape> shapes;
    for (std::size_t size = 0; size < 1500; ++size)
      shapes.push_back({offset, offset, size});
    for (std::size_t size = 0; size < 300; ++size) shapes.push_back({offset, 5, size});
    for (const Way way : kWays) check(shapes, routes()[0], {.way = way});
  }
}

TEST_F(PageCopy, TakesRandomPagesInAnyNumber) {
  constexpr std::array<std::uint32_t, 5> kBlocks{1, 7, 32, 64, 132};
  for (unsigned seed = 0; seed < 24; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<Shape> shapes(1 + random() % (seed % 2 == 0 ? 20 : 400));
    for (Shape& shape : shapes) {
      shape.source_offset = random() % 64;
      shape.target_offset = random() % 3 == 0 ? random() % 64 : shape.source_offset;
      shape.size = random() % (std::size_t{200'001} >> random() % 12);
    }
    const PageCopyOptions options{
        .max_blocks = kBlocks[seed % kBlocks.size()],
        .way = kWays[seed / 2 % kWays.size()],
        .list_place = seed % 4 == 1 ? ListPlace::kHost : ListPlace::kGpu};
    for (const Route& route : routes()) check(shapes, route, options);
  }
}

// Pieces with room around them, whose pages are named by their numbers.
TEST_F(PageCopy, TakesNumbersOfPagesOfAnySizeAndAlignment) {
  for (unsigned seed = 0; seed < 48; ++seed) {
    std::mt19937_64 random(seed);
    const std::size_t page_bytes =
        seed % 3 == 0 ? std::size_t{16} << random() % 10
                      : 1 + random() % (std::size_t{20'001} >> random() % 8);
    const std::size_t of_piece = 1 + random() % 300;
    const std::size_t pieces = 1 + random() % 4;
    const std::size_t offset = random() % 64;
    const std::size_t stride = of_piece * page_bytes + 64 + random() % 64 / 16 * 16;
    const auto indices_of = [&] {
      std::vector<std::uint64_t> indices(pieces * of_piece);
      std::iota(indices.begin(), indices.end(), 0);
      std::shuffle(indices.begin(), indices.end(), random);
      indices.resize(indices.size() - random() % indices.size());
      return indices;
    };
    const auto to = indices_of();
    auto from = indices_of();
    from.resize(to.size(), 0);  // Of these, some are there more than once.
    const std::size_t size = pieces * stride + 200;
    const auto bytes = random_bytes(size);
    std::vector<std::byte> expected(size, kGuard);
    const auto place_of = [&](std::uint64_t index) {
      return offset + index / of_piece * stride + index % of_piece * page_bytes;
    };
    for (std::size_t i = 0; i < to.size(); ++i)
      std::memcpy(&expected[place_of(to[i])], &bytes[place_of(from[i])], page_bytes);
    for (const Route& route : routes()) {
      const auto source = allocate_on(route.source, size);
      const auto target = allocate_on(route.target, size);
      write(source.get(), bytes);
      fill(target.get(), static_cast<unsigned char>(kGuard), size);
      const auto side_of = [&](CuDevicePointer start, const auto& indices) {
        std::vector<base::PagedMemory::Piece> places;
        for (std::size_t piece = 0; piece < pieces; ++piece)
          places.push_back({start + offset + piece * stride, of_piece * page_bytes});
        return base::PagedMemory(
            std::move(places), page_bytes,
            std::make_shared<const std::vector<std::uint64_t>>(indices));
      };
      const PagedPair pages{side_of(source.get(), from), side_of(target.get(), to)};
      ASSERT_TRUE(are_for_numbers(pages));
      const std::size_t first = to.size() / 3;
      const Gpu& gpu = *Machine::instance().gpus[0];
      const PageCopyOptions options{
          .max_blocks = 1 + seed * 5 % 132,
          .way = kWays[seed % kWays.size()],
          .list_place = seed % 4 == 1 ? ListPlace::kHost : ListPlace::kGpu};
      gpu.kernel->copy(gpu.stream.get(), pages, 0, first, options);
      gpu.kernel->copy(gpu.stream.get(), pages, first, to.size() - first, options);
      ASSERT_EQ(read(target.get(), size), expected) << route.name << ", seed " << seed;
    }
  }
}

// What compute-sanitizer is to look at: pages that fill their allocations.
TEST_F(PageCopy, StaysInsideAllocations) {
  for (const std::size_t size : {1, 15, 17, 100, 255, 257, 1000, 4097, 100'001}) {
    const auto bytes = random_bytes(size);
    const auto source = allocate_on(0, size);
    write(source.get(), bytes);
    for (const std::size_t skipped : {0, 1, 4, 6, 15}) {
      if (skipped > size) continue;
      for (const Way way : kWays) {
        const std::size_t count = size - skipped;
        const auto target = allocate_on(0, std::max<std::size_t>(count, 1));
        const Gpu& gpu = *Machine::instance().gpus[0];
        const std::vector<Page> pages{{source.get() + skipped, target.get(), count}};
        gpu.kernel->copy(gpu.stream.get(), pages, {.way = way});
        const auto seen = read(target.get(), count);
        ASSERT_TRUE(std::equal(seen.begin(), seen.end(),
                               bytes.begin() + static_cast<std::ptrdiff_t>(skipped)))
            << size << " bytes without " << skipped;
      }
    }
  }
}

TEST_F(PageCopy, WritesIntoPinnedMemoryOfTheHost) {
  constexpr std::size_t kSize = 1 << 20;
  alignas(4096) static std::array<std::byte, kSize> memory{};
  const Machine& machine = Machine::instance();
  const auto pinned = register_memory(machine.driver, memory.data(), memory.size());
  CuDevicePointer address = 0;
  machine.driver.check(
      machine.driver.functions.mem_host_get_device_pointer(&address, memory.data(), 0),
      "finding pinned memory");
  const auto bytes = random_bytes(kSize);
  const auto source = allocate_on(0, kSize);
  write(source.get(), bytes);
  std::vector<Page> pages;
  for (std::size_t i = 0; i < kSize; i += 4096)
    pages.push_back({source.get() + i, address + i, 4096});
  const Gpu& gpu = *machine.gpus[0];
  for (const Way way : kWays) {
    memory.fill(kGuard);
    gpu.kernel->copy(gpu.stream.get(), pages, {.way = way});
    finish();
    EXPECT_TRUE(std::equal(memory.begin(), memory.end(), bytes.begin()));
  }
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
