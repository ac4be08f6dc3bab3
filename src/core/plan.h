// SPDX-License-Identifier: Apache-2.0
//
// The planner: which path an operation takes, and why. A pure function of what is to be
// moved, what is known of the peer, what users ask for, and what the machine can do.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ptrace_permission.h"
#include "core/costs.h"
#include "core/path_rules.h"
#include "core/paths.h"
#include "nixl_connect/plan.h"

namespace nixl_connect::core {

// What is known of an operation's memory, of the peer and of what it exposes.
struct Facts {
  bool is_ours = false;  // one of our Connectors, not a genuine NIXL agent

  // Where the bytes are, on each side.
  enum class Memory : std::uint8_t { kHost, kGpu, kMixed };
  Memory local_memory = Memory::kHost;
  Memory remote_memory = Memory::kHost;

  // Where it is, as far as its metadata tells.
  enum class Where : std::uint8_t { kUnknown, kThisProcess, kThisHost, kElsewhere };
  Where where = Where::kUnknown;
  bool is_same_user = true;
  bool is_same_pid_namespace = true;
  bool is_same_network = true;

  bool is_host_forbidden = false;  // nothing was tried that follows
  bool is_process_known = false;   // its pid, proven
  bool is_cma_refused = false;     // by the kernel, for this reason if it is known
  std::shared_ptr<const base::Refusal> cma_refusal;
  bool are_leases_seen = false;  // its lease words are mapped, or will be
  // It is to be written to, but would not notice when this process no longer does.
  bool is_write_unwatched = false;

  // How much of its memory, of this operation, is meant to be mapped.
  enum class Exported : std::uint8_t { kNone, kSome, kAll };
  Exported exported = Exported::kNone;
  bool is_map_refused = false;  // it could not be mapped
  // The local memory is all of Connector::allocate(). Found out only if it is the
  // host's and the peer's is of GPUs.
  bool is_local_allocated = false;

  bool is_exposed_here = false;  // by a Connector of this process, at this moment

  // Found out only if there is memory of GPUs.
  struct Gpus {
    using Cause = std::shared_ptr<const std::string>;  // null: not known

    bool has_driver = false;  // this process, of CUDA
    Cause why_no_driver;      // "no CUDA driver: ..."
    // The GPU that would copy runs the page kernel, if this library was built with it.
    bool has_kernel = false;
    // How much of the peer's memory other processes can open.
    Exported exported = Exported::kNone;
    Cause why_not_exported;
    // Some of it comes as files, and there is no local channel on which to ask for
    // them.
    bool are_files_hidden = false;
    bool are_in_reach = true;  // of each other, as far as this process sees them
    bool is_open_refused = false;
    Cause why_refused;
    // The peer, whose GPUs have all of its memory, offers to move the bytes itself.
    bool does_peer_serve = false;
    Cause why_not_served;             // it was asked, and did not
    bool is_staging_refused = false;  // the host's memory could not be pinned
    Cause why_staging_refused;
    bool are_known_to_ucx = false;  // this process's UCX can carry their memory
    Cause why_unknown_to_ucx;
    // So can the peer's, which has told of a key, or that it gives some.
    bool are_known_to_peers_ucx = false;

    bool operator==(const Gpus&) const = default;
  };
  Gpus gpus;

  bool operator==(const Facts&) const = default;
};

enum class Obstacle : std::uint8_t {
  kNone,
  kForbidden,
  kNotRequired,
  kNotNamed,  // in `paths`
  kTooSlow,
  kGenuine,  // the peer is no Connector
  kAnotherProcess,
  kAnotherHost,
  kAnotherUser,
  kAnotherPidNamespace,
  kAnotherNetwork,
  kHostForbidden,  // so nothing was tried
  kUnreachable,
  kNotPermitted,
  kNotAllocated,
  kPartlyAllocated,
  kMapRefused,
  kLeasesHidden,
  kUnwatched,
  kNotExposed,
  kGpuMemory,
  kSomeGpuMemory,
  kHostMemory,
  kSomeHostMemory,
  kNoDriver,
  kOutOfReach,
  kNotExported,
  kPartlyExported,
  kOpenRefused,
  kFilesHidden,
  kUnknownToUcx,
  kMixedMemory,
  kStagingRefused,
  kUnknownToPeersUcx,
};

// Whether it is the user's own: the path itself could carry the bytes.
bool is_of_options(Obstacle obstacle);

// Whether the path is for the other kind of memory than all that is to be moved.
bool is_of_other_memory(Obstacle obstacle);

struct Verdict {
  Obstacle obstacle = Obstacle::kNone;
  Prediction prediction;  // also of a path with an obstacle
};

struct Choice {
  std::optional<Path> path;
  bool is_served = false;  // the peer moves the bytes
  std::array<Verdict, kPaths> verdicts;
  std::uint64_t bytes = 0;
  std::size_t ranges = 0;
  bool is_neighbour = false;  // the peer is one of ours on this host
  std::shared_ptr<const base::Refusal> cma_refusal;  // as in Facts
  Facts::Gpus::Cause gpu_cause;       // of what stands against paths of GPUs
  Facts::Gpus::Cause ucx_cause;       // and against ucx
  Facts::Gpus::Cause why_not_served;  // as in Facts
};

Choice choose(const Work& work, const Facts& facts, const PathRules& rules,
              const Costs& costs);

// The same for users, without the paths for other memory that the rules do not name.
Plan to_plan(const Choice& choice, const PathRules& rules);

// "no path may be taken: local: the peer is another process; ...", with what would
// help.
std::string why_none(const Plan& plan);

// Whether it goes by ucx to a peer on this host though nobody asked for that: no path
// of one host can be used, and not because the options say so of each.
bool is_only_ucx_left(const Choice& choice, const PathRules& rules);

// Of a choice without a path: this process, whose memory it was, exposes it no more.
bool is_exposure_over(const Choice& choice);

// What keeps it from the paths of one host, of what could be changed.
std::string why_only_ucx(const Plan& plan);

// Without the bytes: "host.cma (2.9 us); ucx (4.9 us); local: the peer is another
// process; ...", the path taken first.
std::string in_one_line(const Plan& plan);

}  // namespace nixl_connect::core
