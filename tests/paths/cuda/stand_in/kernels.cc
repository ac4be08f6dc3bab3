// SPDX-License-Identifier: Apache-2.0
//
// The stand-in's kernels, which it knows by name: it cannot read the image of a module.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "paths/cuda/page_copy_arguments.h"
#include "paths/cuda/stand_in/calls.h"
#include "paths/cuda/stand_in/contexts.h"
#include "paths/cuda/stand_in/control.h"
#include "paths/cuda/stand_in/copy_bytes.h"
#include "paths/cuda/stand_in/functions.h"
#include "paths/cuda/stand_in/streams.h"

namespace nixl_connect::paths::cuda {

// Takes the parameters when the kernel is launched.
struct CuFunctionObject {
  std::string_view name;
  stand_in::Work (*work)(void** parameters);
  std::atomic<bool> is_loaded{false};  // into some context
};
struct CuModuleObject {
  CuContext context;
};

namespace stand_in {
namespace {

// What a kernel reads at an address; nothing if it cannot.
template <typename Value>
std::vector<Value> read(const Value* from, std::size_t count, CuDevice device) {
  std::vector<Value> values(count);
  auto* next = reinterpret_cast<std::byte*>(values.data());
  const auto pieces = resolve(reinterpret_cast<std::uintptr_t>(from),
                              count * sizeof(Value), device, By::kKernel);
  for (const Piece& piece : pieces) next = std::copy_n(piece.data, piece.size, next);
  if (pieces.empty()) values.clear();
  return values;
}

// As the GPU does it: each worker for itself, chunk by chunk.
CuResult copy_pages(const std::vector<Page>& pages,
                    const std::vector<ShareStart>& shares, std::uint32_t chunk_shift,
                    CuDevice device) {
  for (std::size_t worker = 0; worker + 1 < shares.size(); ++worker) {
    const ShareStart end = shares[worker + 1];
    std::uint64_t chunk = shares[worker].chunk;
    for (std::uint32_t index = shares[worker].page;
         index < pages.size() && index <= end.page; ++index, chunk = 0) {
      const Page& page = pages[index];
      const std::uint64_t last =
          index == end.page
              ? std::min<std::uint64_t>(end.chunk, chunks_of(page, chunk_shift))
              : chunks_of(page, chunk_shift);
      for (; chunk < last; ++chunk) {
        const Chunk part = chunk_of(page, chunk, chunk_shift);
        const CuResult result =
            copy_bytes(page.target + part.offset, page.source + part.offset, part.size,
                       device, By::kKernel);
        if (result != kCuSuccess) return result;
      }
    }
  }
  return kCuSuccess;
}

Work copy_listed(void** parameters) {
  PageList list;
  std::memcpy(&list, parameters[0], sizeof list);
  return [list](CuDevice device) {
    const auto shares = read(list.shares, list.workers + std::size_t{1}, device);
    if (shares.empty()) return kCuIllegalAddress;
    const ShareStart end = shares.back();
    const auto pages =
        read(list.pages, end.page + (end.chunk > 0 ? std::size_t{1} : 0), device);
    return pages.empty() ? kCuIllegalAddress
                         : copy_pages(pages, shares, list.chunk_shift, device);
  };
}

// One side of a list of numbers, as a kernel reads it; the rest is where it was.
struct Places {
  std::vector<std::uint64_t> pieces;
  std::vector<std::uint32_t> numbers;

  PagePlaces list(const PagePlaces& places) const {
    return {pieces.data(), numbers.data(), places.pages_of_piece};
  }
};

std::optional<Places> read(const PagePlaces& places, std::uint32_t count,
                           CuDevice device) {
  Places read_here;
  read_here.numbers = read(places.numbers, count, device);
  if (read_here.numbers.empty()) return std::nullopt;
  const std::uint32_t last =
      *std::max_element(read_here.numbers.begin(), read_here.numbers.end());
  read_here.pieces = read(places.pieces, last / places.pages_of_piece + 1, device);
  if (read_here.pieces.empty()) return std::nullopt;
  return read_here;
}

Work copy_numbered(void** parameters) {
  NumberedList there;
  std::memcpy(&there, parameters[0], sizeof there);
  return [there](CuDevice device) {
    const auto sources = read(there.sources, there.page_count, device);
    const auto targets = read(there.targets, there.page_count, device);
    if (!sources || !targets) return kCuIllegalAddress;
    NumberedList list = there;
    list.sources = sources->list(there.sources);
    list.targets = targets->list(there.targets);
    std::vector<Page> pages(list.page_count);
    for (std::uint32_t place = 0; place < list.page_count; ++place)
      pages[place] = page_at(list, place);
    std::vector<ShareStart> shares(list.workers + std::size_t{1});
    for (std::uint32_t worker = 0; worker <= list.workers; ++worker)
      shares[worker] = share_at(list, worker);
    return copy_pages(pages, shares, list.chunk_shift, device);
  };
}

Work copy_short_list(void** parameters) {
  ShortPageList list;
  std::memcpy(&list, parameters[0], sizeof list);
  std::vector<Page> pages(list.page_count);
  std::vector<ShareStart> shares(list.workers + std::size_t{1});
  const auto* const words = reinterpret_cast<const std::byte*>(list.words);
  const std::size_t page_bytes = pages.size() * sizeof(Page);
  std::memcpy(pages.data(), words, page_bytes);
  std::memcpy(shares.data(), words + page_bytes, shares.size() * sizeof(ShareStart));
  return [=, chunk_shift = list.chunk_shift](CuDevice device) {
    return copy_pages(pages, shares, chunk_shift, device);
  };
}

std::array<CuFunctionObject, 6> kernels{{
    {"nixl_connect_copy_plain", copy_listed},
    {"nixl_connect_copy_plain_short", copy_short_list},
    {"nixl_connect_copy_plain_numbered", copy_numbered},
    {"nixl_connect_copy_bulk", copy_listed},
    {"nixl_connect_copy_bulk_short", copy_short_list},
    {"nixl_connect_copy_bulk_numbered", copy_numbered},
}};

std::mutex launch_mutex;
Launch launch;  // guarded by launch_mutex

}  // namespace

Launch last_launch() {
  const std::lock_guard lock(launch_mutex);
  return launch;
}

CuResult module_load_data(CuModule* module, const void* image) {
  if (current_context() == nullptr) return kCuInvalidContext;
  if (image == nullptr) return kCuInvalidImage;
  *module = new CuModuleObject{current_context()};
  return kCuSuccess;
}

CuResult module_unload(CuModule module) {
  delete module;
  return kCuSuccess;
}

CuResult module_get_function(CuFunction* function, CuModule /*module*/,
                             const char* name) {
  for (CuFunctionObject& kernel : kernels) {
    if (kernel.name != name) continue;
    kernel.is_loaded = false;
    *function = &kernel;
    return kCuSuccess;
  }
  return kCuNotFound;
}

// What asks for a function's facts loads it.
CuResult function_get_attribute(int* value, CuFunctionAttribute /*attribute*/,
                                CuFunction function) {
  function->is_loaded = true;
  *value = 32;
  return kCuSuccess;
}

CuResult function_set_attribute(CuFunction /*function*/,
                                CuFunctionAttribute /*attribute*/, int value) {
  return value >= 0 ? kCuSuccess : kCuInvalidValue;
}

CuResult launch_kernel(CuFunction function, unsigned grid_x, unsigned grid_y,
                       unsigned grid_z, unsigned block_x, unsigned block_y,
                       unsigned block_z, unsigned /*shared_bytes*/, CuStream stream,
                       void** parameters, void** extra) {
  const bool is_empty = grid_x == 0 || grid_y == 0 || grid_z == 0 || block_x == 0 ||
                        block_y == 0 || block_z == 0;
  if (function == nullptr || extra != nullptr || is_empty) return kCuInvalidValue;
  {
    const std::lock_guard lock(launch_mutex);
    launch = {function->name, grid_x};
  }
  if (!function->is_loaded.exchange(true)) load_lazily();
  return enqueue(stream, function->work(parameters));
}

}  // namespace stand_in
}  // namespace nixl_connect::paths::cuda
