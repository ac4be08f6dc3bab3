// SPDX-License-Identifier: Apache-2.0
//
// An operation that the core knows of, until its Finish. Used by whoever has the turn.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/path_rules.h"
#include "core/terms.h"
#include "paths/host/copy.h"
#include "runtime/host_paths.h"
#include "runtime/operation_state.h"
#include "runtime/registrations.h"
#include "runtime/remote_agent.h"
#include "runtime/remote_ranges.h"

namespace nixl_connect::paths::cuda {
class DeviceCopy;
class StreamPoint;
}  // namespace nixl_connect::paths::cuda
namespace nixl_connect::paths::local {
class Exposure;
}
namespace nixl_connect::paths::ucx {
class Transfer;
}

namespace nixl_connect::runtime {

class GpuUcx;
class RemoteKeys;
struct GivenKeys;
struct View;

struct Running {
  std::shared_ptr<OperationState> state;
  RegistrationHold registrations;
  std::shared_ptr<const RemoteAgent> agent;  // initiating side
  RemoteRanges remote;
  std::shared_ptr<const paths::cuda::StreamPoint> after;  // of the local memory
  std::shared_ptr<const RemoteKeys> keys;                 // if they were asked for
  std::vector<std::uint64_t> walls;                       // the same
  core::PeerId peer = 0;
  core::PathRules rules;
  core::Path path = core::Path::kUcx;
  Closed closed;
  bool is_served = false;  // by the peer, as it is asked to
  std::unique_ptr<paths::ucx::Transfer> transfer;
  std::shared_ptr<paths::host::Copy> copy;
  std::shared_ptr<paths::cuda::DeviceCopy> gpu_copy;
  std::shared_ptr<const View> view;
  // Exposing side.
  std::shared_ptr<const paths::local::Exposure> exposure;
  core::LeaseId lease = 0;
  std::shared_ptr<const void>
      away;  // StreamWaits::keep_away(), once this process serves
  std::shared_ptr<const GivenKeys> given_keys;  // once a peer has asked for them
  bool is_lease_checked = false;
  const GpuUcx* by_gpu_ucx = nullptr;  // of `transfer`; null: of memory of the host
};

}  // namespace nixl_connect::runtime
