// SPDX-License-Identifier: Apache-2.0
//
// A child process that exposes pages of memory, for tests of operations on pages.
#pragma once

#include "support/child.h"

namespace nixl_connect::testing {

int pager_role(const Channel& test);  // gpu_pages_test.cc

}  // namespace nixl_connect::testing
