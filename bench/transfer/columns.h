// SPDX-License-Identifier: Apache-2.0
//
// The columns there are, and which of them can be measured here.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "transfer/column.h"

namespace nixl_connect::bench {

struct ColumnPrograms {
  std::string ucx_perftest;  // path; empty: not found
  std::string nixl_python;   // interpreter that has genuine NIXL; empty: none
};

// Programs named by the environment: NIXL_CONNECT_INTEROP_PYTHON, and ucx_perftest on
// PATH or beside NIXL_CONNECT_UCX_DIRECTORY.
ColumnPrograms find_programs();

// Gives all processes of all columns the same UCX settings, unless the environment has
// others: TCP and CMA on the loopback device, without the rendezvous protocol.
void apply_common_settings();

// Starts the processes of the columns named; of all possible ones if `names` is empty,
// saying on standard error which are left out. Throws std::invalid_argument for a name
// that is unknown or cannot be measured here, with what it needs.
std::vector<std::unique_ptr<Column>> open_columns(const std::vector<std::string>& names,
                                                  const ColumnPrograms& programs);

}  // namespace nixl_connect::bench
