// SPDX-License-Identifier: Apache-2.0
//
// The process that owns the memory: it exposes it, starts the copying side and reports.
// Runs on one thread, beside the Connector's own.
#pragma once

#include "demo/source.h"

namespace demo {

// The exit status of the program: 0 if the result equals the source. Throws what keeps
// the transfers from their end.
int run_exposing_side(const Source& source);

}  // namespace demo
