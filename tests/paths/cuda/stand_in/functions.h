// SPDX-License-Identifier: Apache-2.0
//
// The stand-in's own functions, one for each of the driver's, named as in Functions.
#pragma once

#include "paths/cuda/driver.h"

namespace nixl_connect::paths::cuda::stand_in {

#define NIXL_CONNECT_CU(name, symbol, ...) CuResult name(__VA_ARGS__);
#include "paths/cuda/functions.inc"
#undef NIXL_CONNECT_CU

}  // namespace nixl_connect::paths::cuda::stand_in
