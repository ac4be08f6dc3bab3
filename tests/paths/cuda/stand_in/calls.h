// SPDX-License-Identifier: Apache-2.0
//
// Called by the entry of each function of the stand-in, before it does anything.
#pragma once

#include "paths/cuda/abi.h"

namespace nixl_connect::paths::cuda::stand_in {

// Counts the call. Other than kCuSuccess: what it has to fail with.
CuResult begin_call(const char* symbol);

}  // namespace nixl_connect::paths::cuda::stand_in
