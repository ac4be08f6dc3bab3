// SPDX-License-Identifier: Apache-2.0
//
// Memory of a peer as a view shows it: mapped here, for reading only. Constant once
// made; it stays readable, whatever becomes of the peer, for as long as anyone holds
// it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "runtime/remote_agent.h"
#include "runtime/remote_memory.h"
#include "runtime/remote_ranges.h"

namespace nixl_connect::runtime {

struct Peer;

struct View {
  std::vector<RemoteMemory::Map> maps;
  std::vector<std::span<const std::byte>> bytes;  // one for each descriptor
};

// Maps what is not mapped yet; no page of it is touched. Throws Error(kUnsupported),
// which says what would help, and Error(kCancelled) if the lease is over. Called by
// whoever has the turn.
std::shared_ptr<const View> map_view(Peer& peer, const RemoteAgent& agent,
                                     std::span<const RemoteRange> ranges);

}  // namespace nixl_connect::runtime
