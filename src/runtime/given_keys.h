// SPDX-License-Identifier: Apache-2.0
//
// The keys that the exposing side makes when a peer asks for them: of memory whose
// metadata has none, since its stream had not come by yet, or since it is in pieces
// that have a key each. Memory of GPUs is registered for them only then. For whoever
// has the turn.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nixl_connect/descriptor.h"
#include "paths/ucx/context.h"
#include "wire/control.h"

namespace nixl_connect::runtime {

class GpuUcx;
class RegistrationHold;

struct GivenKeys {
  base::Bytes connection;  // of the worker to which they belong
  std::vector<wire::MemoryKey> keys;
  std::string why_not;  // if there are none
  // What was registered for them.
  std::vector<std::shared_ptr<const paths::ucx::Registration>> registrations{};

  // Those from that number on which have room in a message.
  wire::Keys answer(const wire::AskKeys& asked) const;
};

// Of all memory of an operation. `host_connection` is that of the worker for memory of
// the host. Does not throw Error.
GivenKeys keys_of(std::span<const Descriptor> descriptors, const RegistrationHold& hold,
                  const base::Bytes& host_connection, GpuUcx& gpu_ucx);

}  // namespace nixl_connect::runtime
