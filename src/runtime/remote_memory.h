// SPDX-License-Identifier: Apache-2.0
//
// Memory of one peer of this host that it allows to be mapped. A map is made when it is
// first needed and kept, since to make one costs as much as to copy some megabytes.
// Used by whoever has the turn.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/shared_memory.h"
#include "wire/extension.h"

namespace nixl_connect::runtime {

class RemoteMemory {
 public:
  using Map = std::shared_ptr<const base::SharedMemory>;
  using Access = base::SharedMemory::Access;

  // Null if it cannot be mapped: it is gone, or this process cannot open it. `pid` is
  // the peer's, as this process sees it; nothing if it does not.
  Map map(std::optional<std::uint32_t> pid, const wire::Export& exported,
          Access access);

  // Maps it from the file that the peer has handed over, and gives the map for writing.
  // Null if that is another file.
  Map add(const wire::Export& exported, const base::UniqueFd& file);

  bool has(std::uint64_t id) const noexcept {
    return maps_.count({id, Access::kReadWrite}) != 0;
  }

 private:
  using Key = std::pair<std::uint64_t, Access>;
  struct Kept {
    Map map;
    std::uint64_t last_use = 0;
  };

  Map keep(const Key& key, const wire::Export& exported,
           std::optional<base::SharedMemory> memory);

  void drop_least_used();

  std::map<Key, Kept> maps_;
  std::uint64_t uses_ = 0;
};

}  // namespace nixl_connect::runtime
