// SPDX-License-Identifier: Apache-2.0
//
// Views: the memory is mapped before the peer hears of it, so that one which cannot be
// viewed can still be read; the core does the rest.
#include "runtime/dispatcher.h"
#include "runtime/operation_state.h"
#include "runtime/view.h"

namespace nixl_connect::runtime {

// False if there is nothing to show; the operation has then ended.
bool Dispatcher::map_for_view(BeginRequest& request, Peer& peer) {
  OperationState& state = *request.state;
  try {
    if (resources_.is_host_forbidden ||
        resources_.path_rules.forbidden.has(core::Path::kHostMap))
      throw Error(ErrorKind::kUnsupported,
                  "host.map, which it takes, is forbidden (ConnectorOptions::forbid)");
    state.set_view(map_view(peer, *request.agent, request.remote));
    state.set_path(std::string(core::name_of(core::Path::kHostMap)));
    return true;
  } catch (const Error& error) {
    refuse(request, {error.kind(), state.description() + ": " + error.what()});
    return false;
  }
}

void Dispatcher::carry_out(const core::Recall& command) {
  OperationState& state = *running_.at(command.operation).state;
  if (auto callbacks = state.revoke(); !callbacks.empty())
    deliveries_.add({nullptr, std::move(callbacks), state.status()});
}

}  // namespace nixl_connect::runtime
