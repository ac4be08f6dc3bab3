// SPDX-License-Identifier: Apache-2.0
//
// For programs whose GPUs are those of the stand-in.
#include "paths/cuda/session.h"
#include "paths/cuda/stand_in/control.h"

namespace nixl_connect::paths::cuda::testing {

const Driver& driver_under_test() { return *open_driver(stand_in::file()).driver; }

}  // namespace nixl_connect::paths::cuda::testing
