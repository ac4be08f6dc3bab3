// SPDX-License-Identifier: Apache-2.0
//
// The paths between processes of one host, and within this one: what speaks for and
// against them, and copies by them. Used by whoever has the turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/plan.h"
#include "nixl_connect/descriptor.h"
#include "nixl_connect/metadata.h"
#include "paths/host/copy.h"
#include "runtime/remote_agent.h"

namespace nixl_connect::runtime {

struct Peer;

// Which bytes an operation of the initiating side moves. Refers to what others own.
struct Movement {
  OperationKind kind;
  std::span<const Descriptor> local;
  const RemoteAgent& agent;
  std::span<const RemoteRange> remote;  // as many
};

class HostPaths {
 public:
  using CopyPtr = std::shared_ptr<paths::host::Copy>;

  HostPaths(bool is_host_forbidden, const core::Costs& costs)
      : is_host_forbidden_(is_host_forbidden), costs_(costs) {}

  // May ask the kernel once for each peer.
  core::Facts facts(const Movement& movement, Peer& peer) const;

  // Null for core::Path::kUcx, and if the bytes cannot go that way after all.
  CopyPtr copy(core::Path path, const Movement& movement, Peer& peer,
               std::atomic<std::uint64_t>& progress) const;

 private:
  CopyPtr local_copy(const Movement& movement,
                     std::atomic<std::uint64_t>& progress) const;
  CopyPtr mapped_copy(const Movement& movement, Peer& peer,
                      std::atomic<std::uint64_t>& progress) const;
  static CopyPtr cma_copy(const Movement& movement, const Peer& peer,
                          std::atomic<std::uint64_t>& progress);

  const bool is_host_forbidden_;
  const core::Costs costs_;
};

}  // namespace nixl_connect::runtime
