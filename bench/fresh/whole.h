// SPDX-License-Identifier: Apache-2.0
//
// What reads into fresh memory take as a whole, from begin_read() to their end.
#pragma once

#include <cstddef>

namespace nixl_connect::bench {

// Prints a line for each kind of target and path: GB/s, medians of so many rounds, with
// and without advice, and of a touched target.
void measure_whole(std::size_t size, unsigned rounds);

// What looking at a target costs, in microseconds.
void measure_looks();

}  // namespace nixl_connect::bench
