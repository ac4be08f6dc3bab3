// SPDX-License-Identifier: Apache-2.0
#include "runtime/tracing_permission.h"

#include <unistd.h>

namespace nixl_connect::runtime {

// Under the other scopes a process can neither give this permission nor refuse it.
TracingPermission::Policy TracingPermission::policy_of(const Terms& terms) noexcept {
  if (terms.yama_scope != 1 || !terms.is_allowed) return Policy::kNone;
  return terms.does_ucx_allow_all ? Policy::kAll : Policy::kPeers;
}

TracingPermission::TracingPermission(const Terms& terms, base::Tracers& tracers)
    : policy_(policy_of(terms)), tracers_(tracers) {
  if (policy_ == Policy::kAll) tracers_.add_everybody();
  // UCX has allowed everybody, unless another Connector needs that.
  if (terms.yama_scope == 1 && !terms.is_allowed) tracers_.restore();
}

TracingPermission::~TracingPermission() {
  if (policy_ == Policy::kAll) tracers_.remove_everybody();
  for (const auto& [peer, pid] : pids_) tracers_.remove(pid);
}

void TracingPermission::came(core::PeerId peer, pid_t pid) {
  if (policy_ != Policy::kPeers || pid <= 0 || pid == ::getpid()) return;
  if (pids_.emplace(peer, pid).second) tracers_.add(pid);
}

void TracingPermission::went(core::PeerId peer) {
  const auto found = pids_.find(peer);
  if (found == pids_.end()) return;
  tracers_.remove(found->second);
  pids_.erase(found);
}

}  // namespace nixl_connect::runtime
