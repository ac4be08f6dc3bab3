// SPDX-License-Identifier: Apache-2.0
//
// Memory of the host that another process could map, and a map of it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/exported_memory.h"
#include "paths/cuda/pinned_maps.h"

namespace nixl_connect::paths::cuda::testing {

class HostArena {
 public:
  explicit HostArena(std::size_t size)
      : memory_(base::ExportedMemory::make(size, false)) {}

  // `unmapped` is called when the map has been taken down.
  HostMap map(
      Instance owner = {}, std::function<void()> unmapped = [] {}) const {
    const auto place = base::ExportedMemory::find(address(), 1);
    auto* const made = new base::SharedMemory(
        *base::SharedMemory::of_fd(base::ExportedMemory::file_of(place->id),
                                   base::exported_name(place->id).c_str(),
                                   base::SharedMemory::Access::kReadWrite));
    return {{made,
             [unmapped = std::move(unmapped)](const base::SharedMemory* map) {
               delete map;
               unmapped();
             }},
            owner,
            place->id};
  }

  std::byte* data() const { return memory_->data(); }
  std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(data()); }
  std::size_t size() const { return memory_->size(); }
  // What the map sees is then no longer there.
  void give_back() { memory_ = nullptr; }

 private:
  std::shared_ptr<base::ExportedMemory> memory_;
};

}  // namespace nixl_connect::paths::cuda::testing
