// SPDX-License-Identifier: Apache-2.0
//
// The roles of this program's child processes. Each on its process's main thread.
#pragma once

#include "support/child.h"

namespace nixl_connect::paths::ucx::testing {

using nixl_connect::testing::Channel;
using nixl_connect::testing::Child;

void serve_memory(const Channel& test);    // peer_role.cc
void report_library(const Channel& test);  // library_role.cc
void report_fork(const Channel& test);     // library_role.cc

}  // namespace nixl_connect::paths::ucx::testing
