// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace nixl_connect::paths::cuda::testing {

// Prints what the CUDA thread makes of copies between pinned memory of the host and the
// first GPU, seen by a thread that waits. Nothing without a GPU.
void measure_host_copies();

}  // namespace nixl_connect::paths::cuda::testing
