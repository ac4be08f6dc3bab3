// SPDX-License-Identifier: Apache-2.0
//
// Whether a peer's memory is within reach of this host's system calls: tried once. Used
// by whoever has the turn.
#pragma once

#include <optional>

#include "paths/host/process_memory.h"
#include "wire/extension.h"

namespace nixl_connect::runtime {

class CmaReach {
 public:
  // The lease of a peer that is known to run under the pid it names, as those calls
  // need it. Nothing if they cannot be used: the kernel forbids it.
  std::optional<paths::host::LeaseWord> lease_of(const wire::Extension& peer);

 private:
  enum class State { kUnknown, kWithin, kOutside };
  State state_ = State::kUnknown;
};

}  // namespace nixl_connect::runtime
