// SPDX-License-Identifier: Apache-2.0
//
// The roles of this program's child processes. Each on its process's main thread.
#pragma once

#include "support/child.h"

namespace nixl_connect::paths::cuda::testing {

using nixl_connect::testing::Channel;
using nixl_connect::testing::Child;

void hand_out_memory(const Channel& test);  // stand_in_role.cc
void export_memory(const Channel& test);    // exporter.cc

}  // namespace nixl_connect::paths::cuda::testing
