// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/page_lists.h"

#include <algorithm>
#include <bit>
#include <new>

namespace nixl_connect::paths::cuda {
namespace {

constexpr std::size_t kAlignment = 4096;
constexpr std::size_t kLeastSize = 64 << 10;

}  // namespace

void PageLists::Room::Free::operator()(std::byte* memory) const noexcept {
  ::operator delete[](memory, std::align_val_t(kAlignment));
}

PageLists::Room::Room(const Driver& driver, std::size_t size)
    : size_(size),
      host_(new (std::align_val_t(kAlignment)) std::byte[size]),
      pinned_(register_memory(driver, host_.get(), size)),
      on_gpu_(allocate(driver, size)),
      used_(make_event(driver, EventReach::kThisProcess)) {
  driver.check(
      driver.functions.mem_host_get_device_pointer(&host_on_gpu_, host_.get(), 0),
      "finding pinned memory on the GPU");
}

bool PageLists::Room::is_free(const Driver& driver) const {
  const CuResult result = driver.functions.event_query(used_.get());
  if (result == kCuNotReady) return false;
  driver.check(result, "asking whether the GPU is done with a list of pages");
  return true;
}

void PageLists::Room::use(const Driver& driver, CuStream stream) {
  driver.check(driver.functions.event_record(used_.get(), stream),
               "marking the end of a list of pages");
}

PageLists::Room& PageLists::take(std::size_t size) {
  for (const auto& room : rooms_)
    if (room->size() >= size && room->is_free(driver_)) return *room;
  const std::size_t rounded = std::bit_ceil(std::max(size, kLeastSize));
  return *rooms_.emplace_back(std::make_unique<Room>(driver_, rounded));
}

}  // namespace nixl_connect::paths::cuda
