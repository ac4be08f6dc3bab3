// SPDX-License-Identifier: Apache-2.0
//
// What functions of the stand-in do before anything else.
#pragma once

#include "paths/cuda/abi.h"

namespace nixl_connect::paths::cuda::stand_in {

// A kernel is loaded by its first launch, for which the driver may wait for streams.
void load_lazily();

// Counts the call. Other than kCuSuccess: what it has to fail with.
CuResult begin_call(const char* symbol);

}  // namespace nixl_connect::paths::cuda::stand_in
