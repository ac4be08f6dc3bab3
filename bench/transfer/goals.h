// SPDX-License-Identifier: Apache-2.0
//
// What the library promises about its speed, checked against the results.
#pragma once

#include <iosfwd>

#include "transfer/results.h"

namespace nixl_connect::bench {

// One line for each goal whose columns and sizes were measured: met or missed, and by
// how much.
void print_goals(const Results& results, std::ostream& out);

}  // namespace nixl_connect::bench
