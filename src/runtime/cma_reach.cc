// SPDX-License-Identifier: Apache-2.0
#include "runtime/cma_reach.h"

#include "base/log.h"

namespace nixl_connect::runtime {

using paths::host::Fault;

std::optional<paths::host::LeaseWord> CmaReach::lease_of(const wire::Extension& peer) {
  if (!peer.lease_table || state_ == State::kOutside) return std::nullopt;
  const paths::host::LeaseWord lease{peer.lease_table->pid, peer.lease.word_address,
                                     peer.lease.token};
  if (state_ == State::kWithin) return lease;
  switch (paths::host::look(lease)) {
    case Fault::kNone:
      state_ = State::kWithin;
      return lease;
    case Fault::kLeaseOver:  // the next one will tell
      return std::nullopt;
    case Fault::kRefused:
      base::log_info(
          "host.cma: the kernel forbids process_vm_readv on a peer of this host "
          "(another user, a container, or kernel.yama.ptrace_scope)");
      [[fallthrough]];
    default:
      state_ = State::kOutside;
      return std::nullopt;
  }
}

}  // namespace nixl_connect::runtime
