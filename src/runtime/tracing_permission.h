// SPDX-License-Identifier: Apache-2.0
//
// Where Yama's scope is 1, a peer of this host needs this process's permission for
// host.cma. Told of the peers that come and go. Used by whoever has the turn.
#pragma once

#include <sys/types.h>

#include <optional>
#include <unordered_map>

#include "base/tracers.h"
#include "core/terms.h"

namespace nixl_connect::runtime {

class TracingPermission {
 public:
  struct Terms {
    std::optional<int> yama_scope;  // nothing: the kernel has no Yama
    bool is_allowed = true;         // ConnectorOptions::allow_ptrace
    // UCX has its own CMA: then it has given the permission to all processes of the
    // user when it was opened, and whoever reaches us that way goes on needing it.
    bool does_ucx_allow_all = false;
  };

  // After UCX was opened.
  TracingPermission(const Terms& terms, base::Tracers& tracers);
  ~TracingPermission();
  TracingPermission(const TracingPermission&) = delete;
  TracingPermission& operator=(const TracingPermission&) = delete;

  // A peer has said Hello over the local channel, or is asked to move our bytes; again
  // does nothing. `pid` as this process sees it; 0 if it does not.
  void came(core::PeerId peer, pid_t pid);
  void went(core::PeerId peer);

 private:
  enum class Policy { kNone, kAll, kPeers };
  static Policy policy_of(const Terms& terms) noexcept;

  const Policy policy_;
  base::Tracers& tracers_;
  std::unordered_map<core::PeerId, pid_t> pids_;
};

}  // namespace nixl_connect::runtime
