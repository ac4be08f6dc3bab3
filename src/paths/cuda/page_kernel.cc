// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/page_kernel.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/log.h"

namespace nixl_connect::paths::cuda {
namespace {

constexpr int kLeastCapabilityForBulk = 90;
constexpr std::uint32_t kLeastShift = 10;
constexpr std::uint32_t kLargestPlainShift = 14;
constexpr std::uint32_t kBulkSharedBytes = kBulkWarps * kBulkStages
                                           << kLargestBulkShift;

// Of one launch, so that the list fits into a room.
constexpr std::uint32_t kMostWorkers = 8 << 10;
constexpr std::size_t kMostPages =
    (PageLists::kMostBytes - (kMostWorkers + 1) * sizeof(ShareStart)) / sizeof(Page);

// The same of numbers, on two sides.
constexpr std::size_t kMostNumbers =
    PageLists::kMostBytes / 2 / sizeof(std::uint32_t) -
    kMostPieces * sizeof(std::uint64_t) / sizeof(std::uint32_t);

// One side of some of the pages, as the kernel reads it: the addresses of the pieces,
// and behind them the numbers, up to a multiple of 8 bytes.
class NumbersWriter {
 public:
  NumbersWriter(const base::PagedMemory& memory, std::size_t first, std::size_t count)
      : memory_(memory), numbers_(std::span(memory.indices()).subspan(first, count)) {}

  std::size_t size() const noexcept {
    return bytes_of_pieces() + (numbers_.size() + 1) / 2 * sizeof(std::uint64_t);
  }

  void write(std::byte* room) const {
    auto* const pieces = reinterpret_cast<std::uint64_t*>(room);
    std::transform(memory_.pieces().begin(), memory_.pieces().end(), pieces,
                   [](const auto& piece) { return piece.address; });
    std::transform(
        numbers_.begin(), numbers_.end(),
        reinterpret_cast<std::uint32_t*>(room + bytes_of_pieces()),
        [](std::uint64_t number) { return static_cast<std::uint32_t>(number); });
  }

  // When it was written there.
  PagePlaces places(CuDevicePointer address) const {
    // NOLINTBEGIN(performance-no-int-to-ptr)
    return {reinterpret_cast<const std::uint64_t*>(address),
            reinterpret_cast<const std::uint32_t*>(address + bytes_of_pieces()),
            static_cast<std::uint32_t>(memory_.pieces().front().size /
                                       memory_.page_bytes())};
    // NOLINTEND(performance-no-int-to-ptr)
  }

 private:
  std::size_t bytes_of_pieces() const noexcept {
    return memory_.pieces().size() * sizeof(std::uint64_t);
  }

  const base::PagedMemory& memory_;
  const std::span<const std::uint64_t> numbers_;
};

Module load(const Driver& driver, const void* image) {
  CuModule module = nullptr;
  driver.check(driver.functions.module_load_data(&module, image),
               "loading the page kernel");
  return {driver, module};
}

}  // namespace

PageKernel::PageKernel(const Driver& driver, const DeviceFacts& device,
                       const void* image)
    : driver_(driver),
      has_bulk_(device.compute_capability >= kLeastCapabilityForBulk),
      module_(load(driver, image)),
      plain_{find("nixl_connect_copy_plain"), find("nixl_connect_copy_plain_short"),
             find("nixl_connect_copy_plain_numbered")},
      lists_(driver) {
  if (!has_bulk_) return;
  bulk_ = {find("nixl_connect_copy_bulk"), find("nixl_connect_copy_bulk_short"),
           find("nixl_connect_copy_bulk_numbered")};
  for (const CuFunction function :
       {bulk_.with_list, bulk_.with_short_list, bulk_.with_numbers})
    driver.check(driver.functions.function_set_attribute(
                     function, kCuMaxDynamicSharedBytes, kBulkSharedBytes),
                 "giving the page kernel its shared memory");
}

CuFunction PageKernel::find(const char* name) const {
  CuFunction function = nullptr;
  driver_.check(driver_.functions.module_get_function(&function, module_.get(), name),
                std::string("finding the kernel ") + name);
  // Or it is loaded when it is first launched (CUDA_MODULE_LOADING=LAZY).
  int registers = 0;
  driver_.check(driver_.functions.function_get_attribute(
                    &registers, kCuFunctionRegisters, function),
                std::string("loading the kernel ") + name);
  return function;
}

void PageKernel::copy(CuStream stream, std::span<const Page> pages,
                      const PageCopyOptions& options) {
  for (; pages.size() > kMostPages; pages = pages.subspan(kMostPages))
    copy_listed(stream, pages.first(kMostPages), options);
  copy_listed(stream, pages, options);
}

void PageKernel::copy_listed(CuStream stream, std::span<const Page> pages,
                             const PageCopyOptions& options) {
  const PageSums sums = sum_up(pages);
  if (sums.bytes == 0) return;
  const Launch launch = plan(pages.size(), sums, options);
  const auto shares =
      share_out(pages, sums.bytes, launch.chunk_shift, launch.workers());
  if (pages.size_bytes() + std::span(shares).size_bytes() <=
      sizeof ShortPageList::words)
    copy_short(stream, pages, shares, launch);
  else
    copy_long(stream, pages, shares, launch, options.list_place);
}

void PageKernel::copy_few(CuStream stream, std::span<const Page> pages,
                          std::uint32_t max_blocks) const {
  static_assert(kMostFewPages * sizeof(Page) +
                    (kMostFewBlocks * kPlainWarps + 1) * sizeof(ShareStart) <=
                sizeof ShortPageList::words);
  const PageSums sums = sum_up(pages);
  if (sums.bytes == 0) return;
  const Launch launch = plan(pages.size(), sums,
                             {.max_blocks = std::min(max_blocks, kMostFewBlocks),
                              .way = PageCopyOptions::Way::kPlain});
  copy_short(stream, pages,
             share_out(pages, sums.bytes, launch.chunk_shift, launch.workers()),
             launch);
}

PageKernel::Launch PageKernel::plan(std::size_t count, const PageSums& sums,
                                    const PageCopyOptions& options) const {
  using Way = PageCopyOptions::Way;
  const bool is_bulk = has_bulk_ && (options.way == Way::kBulk ||
                                     (options.way == Way::kAuto && are_for_bulk(sums)));
  Launch launch;
  launch.kernels = is_bulk ? &bulk_ : &plain_;
  launch.warps = is_bulk ? kBulkWarps : kPlainWarps;
  launch.shared_bytes = is_bulk ? kBulkSharedBytes : 0;
  const std::uint64_t max_blocks =
      std::clamp(options.max_blocks, 1U, kMostWorkers / launch.warps);
  // A chunk is a quarter of what a warp would get of it, so that shares come out even.
  const std::uint64_t fair = sums.bytes / (4 * launch.warps * max_blocks);
  launch.chunk_shift = is_bulk ? kLargestBulkShift : kLargestPlainShift;
  while (launch.chunk_shift > kLeastShift && (fair >> launch.chunk_shift) == 0)
    --launch.chunk_shift;
  // No block without work, as far as can be told at once.
  const std::uint64_t chunks = count + (sums.bytes >> launch.chunk_shift);
  const std::uint64_t blocks = (chunks + launch.warps - 1) / launch.warps;
  launch.blocks = static_cast<std::uint32_t>(std::min(blocks, max_blocks));
  return launch;
}

void PageKernel::copy_short(CuStream stream, std::span<const Page> pages,
                            std::span<const ShareStart> shares,
                            const Launch& launch) const {
  ShortPageList list;
  list.page_count = static_cast<std::uint32_t>(pages.size());
  list.chunk_shift = launch.chunk_shift;
  list.workers = launch.workers();
  auto* const words = reinterpret_cast<std::byte*>(list.words);
  std::memcpy(words, pages.data(), pages.size_bytes());
  std::memcpy(words + pages.size_bytes(), shares.data(), shares.size_bytes());
  start(launch.kernels->with_short_list, stream, launch, &list);
}

void PageKernel::copy_long(CuStream stream, std::span<const Page> pages,
                           std::span<const ShareStart> shares, const Launch& launch,
                           PageCopyOptions::ListPlace place) {
  const std::size_t size = pages.size_bytes() + shares.size_bytes();
  const PageLists::Room& room = lists_.take(size);
  std::memcpy(room.on_host, pages.data(), pages.size_bytes());
  std::memcpy(room.on_host + pages.size_bytes(), shares.data(), shares.size_bytes());
  const CuDevicePointer address = this->place(stream, room, size, place);
  PageList list;
  list.pages = reinterpret_cast<const Page*>(address);
  list.shares = reinterpret_cast<const ShareStart*>(address + pages.size_bytes());
  list.chunk_shift = launch.chunk_shift;
  list.workers = launch.workers();
  start(launch.kernels->with_list, stream, launch, &list);
  lists_.use(room, stream);
}

void PageKernel::copy(CuStream stream, const PagedPair& pages, std::size_t first,
                      std::size_t count, const PageCopyOptions& options) {
  for (; count > kMostNumbers; first += kMostNumbers, count -= kMostNumbers)
    copy_numbered(stream, pages, first, kMostNumbers, options);
  copy_numbered(stream, pages, first, count, options);
}

void PageKernel::copy_numbered(CuStream stream, const PagedPair& pages,
                               std::size_t first, std::size_t count,
                               const PageCopyOptions& options) {
  if (count == 0) return;
  const Launch launch = plan(count, sum_up(pages, count), options);
  const NumbersWriter sources(pages.sources, first, count);
  const NumbersWriter targets(pages.targets, first, count);
  const std::size_t size = sources.size() + targets.size();
  const PageLists::Room& room = lists_.take(size);
  sources.write(room.on_host);
  targets.write(room.on_host + sources.size());
  const CuDevicePointer address = place(stream, room, size, options.list_place);
  NumberedList list;
  list.sources = sources.places(address);
  list.targets = targets.places(address + sources.size());
  list.page_bytes = pages.page_bytes();
  list.page_count = static_cast<std::uint32_t>(count);
  list.chunk_shift = launch.chunk_shift;
  list.workers = launch.workers();
  start(launch.kernels->with_numbers, stream, launch, &list);
  lists_.use(room, stream);
}

CuDevicePointer PageKernel::place(CuStream stream, const PageLists::Room& room,
                                  std::size_t size,
                                  PageCopyOptions::ListPlace place) const {
  if (place == PageCopyOptions::ListPlace::kHost) return room.host_on_gpu;
  driver_.check(
      driver_.functions.memcpy_htod_async(room.on_gpu, room.on_host, size, stream),
      "copying a list of pages to the GPU");
  lists_.use(room, stream);
  return room.on_gpu;
}

void PageKernel::start(CuFunction function, CuStream stream, const Launch& launch,
                       void* arguments) const {
  void* parameters[] = {arguments};
  driver_.check(driver_.functions.launch_kernel(
                    function, launch.blocks, 1, 1, launch.warps * kWarpThreads, 1, 1,
                    launch.shared_bytes, stream, parameters, nullptr),
                "launching the page kernel");
}

std::unique_ptr<PageKernel> load_kernel(const Driver& driver, const DeviceFacts& device,
                                        const void* image, KernelLists lists) {
  try {
    auto kernel = std::make_unique<PageKernel>(driver, device, image);
    if (lists == KernelLists::kNow) kernel->make_lists();
    return kernel;
  } catch (const DriverError& error) {
    if (is_sticky(error.result())) throw;
    base::log_warning(text_of(device) +
                      " copies many pages slowly, without a kernel: " + error.what());
    return nullptr;
  }
}

}  // namespace nixl_connect::paths::cuda
