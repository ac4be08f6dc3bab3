// SPDX-License-Identifier: Apache-2.0
//
// gpu_test [--bench] [googletest option...]: the tests of what only a GPU can show, and
// with --bench the measurements as well. It needs libc, and the CUDA driver if there is
// one, and can be carried to another machine as it is.
#include <gtest/gtest.h>

#include <cstring>

#include "gpu/page_copy_bench.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const bool measures = argc == 2 && std::strcmp(argv[1], "--bench") == 0;
  const int failed = RUN_ALL_TESTS();
  if (measures) nixl_connect::paths::cuda::testing::measure_page_copies();
  return failed;
}
