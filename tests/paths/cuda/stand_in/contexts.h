// SPDX-License-Identifier: Apache-2.0
//
// Devices of the stand-in, and their primary contexts, which are always there.
#pragma once

#include <atomic>

#include "paths/cuda/abi.h"

namespace nixl_connect::paths::cuda {

struct CuContextObject {
  const CuDevice device = 0;
  std::atomic<CuResult> sticky{kCuSuccess};
  std::atomic<int> retained{0};
  std::atomic<unsigned> peers{0};  // a bit for each device that it may reach
};

namespace stand_in {

// Of the calling thread; none.
CuContext current_context();

CuContext context_of(CuDevice device);

bool is_device(CuDevice device);

bool can_reach(CuDevice device, CuDevice peer);

}  // namespace stand_in
}  // namespace nixl_connect::paths::cuda
