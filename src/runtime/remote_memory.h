// SPDX-License-Identifier: Apache-2.0
//
// Memory of one peer of this host that it allows to be mapped. A map is made when it is
// first needed and kept, since to make one costs as much as to copy some megabytes.
// Used by whoever has the turn.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "base/shared_memory.h"
#include "wire/extension.h"

namespace nixl_connect::runtime {

class RemoteMemory {
 public:
  using Map = std::shared_ptr<const base::SharedMemory>;

  // Null if it cannot be mapped: it is gone, or not for this process. `pid` is the
  // peer's, as this process sees it.
  Map map(std::uint32_t pid, const wire::Export& exported,
          base::SharedMemory::Access access);

 private:
  using Key = std::pair<std::uint64_t, base::SharedMemory::Access>;
  std::map<Key, Map> maps_;
};

}  // namespace nixl_connect::runtime
