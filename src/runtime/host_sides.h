// SPDX-License-Identifier: Apache-2.0
//
// The side of a copy whose memory is the host's, as GPUs reach it: by maps of what
// Connector::allocate() has given, in this process or in the peer's. Used by whoever
// has the turn.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "base/shared_memory.h"
#include "runtime/operation_memory.h"
#include "wire/extension.h"

namespace nixl_connect::paths::cuda {
struct CopyWork;
}

namespace nixl_connect::runtime {

struct Peer;

// Whether Connector::allocate() of this process has given all of that memory, which is
// the host's.
bool is_allocated(std::span<const LocalRange> ranges);

class HostSides {
 public:
  // Make the addresses of that side those of maps, which the work then has. False:
  // some of it lies in none, or in one that cannot be mapped.
  static bool map_of_peer(Peer& peer, const wire::Extension& extension,
                          paths::cuda::CopyWork& work);
  bool map_own(paths::cuda::CopyWork& work);

 private:
  using Map = std::shared_ptr<const base::SharedMemory>;

  Map map_own(const wire::Export& exported);

  // By their ids, as long as they are pinned. Memory of this process is mapped once
  // more, so that it can go at any time, whatever a GPU still does.
  std::map<std::uint64_t, std::weak_ptr<const base::SharedMemory>> own_;
};

}  // namespace nixl_connect::runtime
