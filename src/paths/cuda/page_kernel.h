// SPDX-License-Identifier: Apache-2.0
//
// Launches the page kernel on one GPU, one launch for up to some ten thousand pages.
// One thread, with the context current that it was made with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "paths/cuda/devices.h"
#include "paths/cuda/handles.h"
#include "paths/cuda/page_copy_arguments.h"
#include "paths/cuda/page_lists.h"
#include "paths/cuda/page_shares.h"
#include "paths/cuda/paged_ranges.h"

namespace nixl_connect::paths::cuda {

struct PageCopyOptions {
  // How many multiprocessors it may take, at least 1; a block has one for itself.
  std::uint32_t max_blocks = 32;

  // kAuto: bulk copies if are_for_bulk() and the GPU has them.
  enum class Way { kAuto, kBulk, kPlain };
  Way way = Way::kAuto;

  // Where the kernel reads a long list: a copy of it, or as the host wrote it.
  enum class ListPlace { kGpu, kHost };
  ListPlace list_place = ListPlace::kGpu;
};

class PageKernel {
 public:
  // `image` as page_kernel_image() has it. Throws as Driver::check().
  PageKernel(const Driver& driver, const DeviceFacts& device, const void* image);

  // Whether this GPU copies in bulk.
  bool has_bulk() const noexcept { return has_bulk_; }

  // What copy() needs for many pages. Otherwise the first one makes it, which may wait
  // for streams of users. Throws as Driver::check().
  void make_lists() { lists_.make(); }

  // Takes the pages, of which each target is apart from everything else, and returns
  // when the stream has the work. Throws as Driver::check(); the stream may then have
  // some of it.
  void copy(CuStream stream, std::span<const Page> pages,
            const PageCopyOptions& options = {});

  // The same for `count` of the pages from `first` on, which are_for_numbers().
  void copy(CuStream stream, const PagedPair& pages, std::size_t first,
            std::size_t count, const PageCopyOptions& options = {});

  // The same for at most so many pages, and by few blocks (from 1): through registers,
  // which suits memory of the host. Several threads at once.
  void copy_few(CuStream stream, std::span<const Page> pages,
                std::uint32_t max_blocks) const;
  static constexpr std::size_t kMostFewPages = 128;
  static constexpr std::uint32_t kMostFewBlocks = 6;

 private:
  struct Kernels {
    CuFunction with_list = nullptr;
    CuFunction with_short_list = nullptr;
    CuFunction with_numbers = nullptr;
  };
  struct Launch {
    const Kernels* kernels = nullptr;
    std::uint32_t warps = 0;  // of a block
    std::uint32_t chunk_shift = 0;
    std::uint32_t shared_bytes = 0;
    std::uint32_t blocks = 0;

    std::uint32_t workers() const noexcept { return blocks * warps; }
  };

  CuFunction find(const char* name) const;
  void copy_numbered(CuStream stream, const PagedPair& pages, std::size_t first,
                     std::size_t count, const PageCopyOptions& options);
  void copy_listed(CuStream stream, std::span<const Page> pages,
                   const PageCopyOptions& options);
  Launch plan(std::size_t count, const PageSums& sums,
              const PageCopyOptions& options) const;
  void copy_short(CuStream stream, std::span<const Page> pages,
                  std::span<const ShareStart> shares, const Launch& launch) const;
  void copy_long(CuStream stream, std::span<const Page> pages,
                 std::span<const ShareStart> shares, const Launch& launch,
                 PageCopyOptions::ListPlace place);
  // The address of the list in `room`, of which it took `size` bytes.
  CuDevicePointer place(CuStream stream, const PageLists::Room& room, std::size_t size,
                        PageCopyOptions::ListPlace place) const;
  void start(CuFunction function, CuStream stream, const Launch& launch,
             void* arguments) const;

  const Driver& driver_;
  const bool has_bulk_;
  Module module_;
  Kernels plain_;
  Kernels bulk_;
  PageLists lists_;
};

// When what copy() needs for many pages is made.
enum class KernelLists { kNow, kLater };

// Null, and a line in the log, if the driver does not take it: the copy engines do it
// all then. Throws DriverError if the context is poisoned.
std::unique_ptr<PageKernel> load_kernel(const Driver& driver, const DeviceFacts& device,
                                        const void* image, KernelLists lists);

}  // namespace nixl_connect::paths::cuda
