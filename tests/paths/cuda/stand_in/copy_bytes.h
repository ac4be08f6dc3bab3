// SPDX-License-Identifier: Apache-2.0
//
// Called by the stand-in's streams and kernels.
#pragma once

#include "paths/cuda/stand_in/memory.h"

namespace nixl_connect::paths::cuda::stand_in {

// kCuIllegalAddress if the device cannot reach all of the bytes.
CuResult copy_bytes(CuDevicePointer to, CuDevicePointer from, std::size_t size,
                    CuDevice device, By by);

}  // namespace nixl_connect::paths::cuda::stand_in
