// SPDX-License-Identifier: Apache-2.0
//
// The paths between processes of one host, and within this one: what speaks for and
// against them, and copies by them. Used by whoever has the turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/place.h"
#include "core/plan.h"
#include "nixl_connect/metadata.h"
#include "paths/host/copy.h"
#include "paths/host/process_memory.h"
#include "runtime/operation_memory.h"
#include "runtime/remote_agent.h"
#include "runtime/remote_ranges.h"

namespace nixl_connect::paths::cuda {
class StreamPoint;
}

namespace nixl_connect::runtime {

class Fetches;
class GpuPaths;
struct Peer;

// Which bytes an operation of the initiating side moves. Refers to what others own.
struct Movement {
  OperationKind kind;
  const OperationMemory& local;
  const RemoteAgent& agent;
  const RemoteRanges& remote;  // as many
  std::shared_ptr<const paths::cuda::StreamPoint>
      after{};  // null: it may begin at once
  // Where allocations of GPUs begin among the local memory.
  std::span<const std::uint64_t> walls{};
};

// Those that have bytes, on both sides; `shift` is added to the remote addresses.
paths::host::Ranges ranges_of(const Movement& movement, std::uint64_t shift = 0);

// What is told of faults that the path itself would not explain.
constexpr const char* kOwnMemoryFault =
    "memory of this process is not mapped, or read-only though it is the target";
constexpr const char* kPeerIsGone = "the peer is gone; ask it for new metadata";
constexpr const char* kProcessIsGone =
    "the peer's process is gone; ask for new metadata";

// Whether local channels lead there, if its metadata is true.
bool is_within_reach(const base::Place& place);

// What was found closed for a movement.
struct Closed {
  core::PathSet paths;
  core::Facts::Gpus::Cause why_not_opened;
  core::Facts::Gpus::Cause why_not_staged;
  core::Facts::Gpus::Cause why_not_served;  // null: it may be asked for
};

// The lease of that metadata as system calls need it, in the process that was found to
// be the peer; the metadata alone could name any.
std::optional<paths::host::LeaseWord> lease_in_reach(const Peer& peer,
                                                     const RemoteAgent& agent);

class HostPaths {
 public:
  using CopyPtr = std::shared_ptr<paths::host::Copy>;

  struct Settings {
    bool is_host_forbidden;
    unsigned copy_threads;
  };

  HostPaths(const Settings& settings, const core::Costs& costs, const Fetches& fetches,
            const GpuPaths& gpu_paths)
      : settings_(settings), costs_(costs), fetches_(fetches), gpu_paths_(gpu_paths) {}

  // Among all paths, of this movement. May ask the kernel once for each peer.
  core::Choice choose(const Movement& movement, Peer& peer,
                      const core::PathRules& rules, const Closed& closed) const;

  // Null for the paths that are none of host memory, and if the bytes cannot go that
  // way after all.
  CopyPtr copy(core::Path path, const Movement& movement, Peer& peer,
               std::atomic<std::uint64_t>& progress) const;

 private:
  core::Facts facts(const Movement& movement, Peer& peer) const;
  CopyPtr local_copy(const Movement& movement,
                     std::atomic<std::uint64_t>& progress) const;
  CopyPtr mapped_copy(const Movement& movement, Peer& peer,
                      std::atomic<std::uint64_t>& progress) const;
  static CopyPtr cma_copy(const Movement& movement, const Peer& peer,
                          std::atomic<std::uint64_t>& progress);

  const Settings settings_;
  const core::Costs costs_;
  const Fetches& fetches_;
  const GpuPaths& gpu_paths_;
};

}  // namespace nixl_connect::runtime
