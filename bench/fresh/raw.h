// SPDX-License-Identifier: Apache-2.0
//
// What filling fresh memory costs, without the library: the ways to get its pages,
// beside a target that has them.
#pragma once

#include <cstddef>

namespace nixl_connect::bench {

// Prints a line for each kind of target, way to copy and number of threads: GB/s of
// wall time and of processor time, medians of so many rounds.
void measure_raw(std::size_t size, unsigned rounds);

}  // namespace nixl_connect::bench
