// SPDX-License-Identifier: Apache-2.0
//
// gpu_test [--bench | --bench-staged] [googletest option...]: the tests of what only a
// GPU can show, and with --bench the measurements of copies between GPUs as well; with
// --bench-staged those of copies between a GPU and the host, alone. It needs libc, and
// the CUDA driver if there is one, and can be carried to another machine as it is.
#include <gtest/gtest.h>

#include <cstring>
#include <string_view>

#include "gpu/host_copy_bench.h"
#include "gpu/page_copy_bench.h"
#include "gpu/staged_copy_bench.h"
#include "paths/cuda/roles.h"
#include "paths/cuda/session.h"

namespace nixl_connect {

const paths::cuda::Driver& paths::cuda::testing::driver_under_test() {
  return *open_driver("").driver;
}

// There is one only.
int testing::run_role(std::string_view /*role*/, const Channel& test) {
  paths::cuda::testing::export_memory(test);
  return 0;
}

}  // namespace nixl_connect

int main(int argc, char** argv) {
  if (const auto status = nixl_connect::testing::play_role(argc, argv)) return *status;
  ::testing::InitGoogleTest(&argc, argv);
  const auto is_asked_for = [&](const char* what) {
    return argc == 2 && std::strcmp(argv[1], what) == 0;
  };
  if (is_asked_for("--bench-staged")) {
    nixl_connect::paths::cuda::testing::measure_staged_copies();
    return 0;
  }
  const bool measures = is_asked_for("--bench");
  const int failed = RUN_ALL_TESTS();
  if (measures) {
    nixl_connect::paths::cuda::testing::measure_page_copies();
    nixl_connect::paths::cuda::testing::measure_host_copies();
  }
  return failed;
}
