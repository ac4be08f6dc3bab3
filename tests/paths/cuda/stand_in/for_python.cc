// SPDX-License-Identifier: Apache-2.0
//
// What tests in Python ask of the stand-in besides the driver's own functions.
#include "paths/cuda/stand_in/control.h"

namespace nixl_connect::paths::cuda::stand_in {

// How often a function of the driver was called.
extern "C" unsigned nixl_connect_stand_in_calls(const char* function) {
  return calls(function);
}

// Of the kernel that was launched last.
extern "C" unsigned nixl_connect_stand_in_blocks() { return last_launch().blocks; }

}  // namespace nixl_connect::paths::cuda::stand_in
