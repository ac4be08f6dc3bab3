// SPDX-License-Identifier: Apache-2.0
//
// How fast the page kernel is beside one copy of as many bytes. Prints a table.
#pragma once

namespace nixl_connect::paths::cuda::testing {

// Takes 4 GiB of each GPU, and a few seconds.
void measure_page_copies();

}  // namespace nixl_connect::paths::cuda::testing
