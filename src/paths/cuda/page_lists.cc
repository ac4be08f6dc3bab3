// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/page_lists.h"

#include <array>
#include <new>
#include <thread>

#include "nixl_connect/error.h"

namespace nixl_connect::paths::cuda {
namespace {

constexpr std::size_t kAlignment = 4096;

// Each stream has two large batches at most, and not all of them are full.
struct Kind {
  std::size_t count;
  std::size_t size;
};
constexpr std::array kKinds{Kind{12, 64 << 10}, Kind{4, PageLists::kMostBytes}};

constexpr std::size_t total() {
  std::size_t bytes = 0;
  for (const Kind& kind : kKinds) bytes += kind.count * kind.size;
  return bytes;
}

}  // namespace

void PageLists::Free::operator()(std::byte* memory) const noexcept {
  ::operator delete[](memory, std::align_val_t(kAlignment));
}

void PageLists::make() {
  if (!rooms_.empty()) return;
  std::unique_ptr<std::byte[], Free> host(new (std::align_val_t(kAlignment))
                                              std::byte[total()]);
  RegisteredMemory pinned = register_memory(driver_, host.get(), total());
  DeviceMemory on_gpu = allocate(driver_, total());
  CuDevicePointer host_on_gpu = 0;
  driver_.check(
      driver_.functions.mem_host_get_device_pointer(&host_on_gpu, host.get(), 0),
      "finding pinned memory on the GPU");
  std::vector<Room> rooms;
  std::size_t at = 0;
  for (const Kind& kind : kKinds)
    for (std::size_t i = 0; i < kind.count; ++i, at += kind.size)
      rooms.push_back({kind.size, host.get() + at, host_on_gpu + at, on_gpu.get() + at,
                       make_event(driver_, EventReach::kThisProcess)});
  pinned_ = {};
  host_ = std::move(host);
  pinned_ = std::move(pinned);
  on_gpu_ = std::move(on_gpu);
  rooms_ = std::move(rooms);
}

PageLists::Room& PageLists::take(std::size_t size) {
  if (size > kMostBytes)
    throw Error(ErrorKind::kInternal, "a list of pages is longer than its room");
  make();
  while (true) {
    for (Room& room : rooms_)
      if (room.size >= size && is_free(room)) return room;
    std::this_thread::yield();
  }
}

bool PageLists::is_free(const Room& room) const {
  const CuResult result = driver_.functions.event_query(room.used.get());
  if (result == kCuNotReady) return false;
  driver_.check(result, "asking whether the GPU is done with a list of pages");
  return true;
}

void PageLists::use(const Room& room, CuStream stream) const {
  driver_.check(driver_.functions.event_record(room.used.get(), stream),
                "marking the end of a list of pages");
}

}  // namespace nixl_connect::paths::cuda
