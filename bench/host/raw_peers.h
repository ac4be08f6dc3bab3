// SPDX-License-Identifier: Apache-2.0
//
// The two processes of a ceiling, which have no Connector. They answer what those of a
// column do (transfer/pair_column.h): `expose` takes `mapped` besides, for memory that
// the other process can map, and `measure` `fresh`, as transfer/measuring_peer.h has
// it, and `advises_huge_pages` for such memory. Both take `check`.
#pragma once

#include <cstddef>

#include "host/raw_copy.h"

namespace nixl_connect::bench {

// Each serves until the parent closes the pipe, and returns the exit status.
int run_raw_exposing();
int run_raw_measuring(Means means, unsigned threads, std::size_t piece);

}  // namespace nixl_connect::bench
