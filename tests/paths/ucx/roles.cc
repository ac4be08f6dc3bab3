// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/roles.h"

namespace nixl_connect::testing {

int run_role(std::string_view role, const Channel& test) {
  namespace roles = paths::ucx::testing;
  if (role == "peer") {
    roles::serve_memory(test);
  } else if (role == "library") {
    roles::report_library(test);
  } else if (role == "fork") {
    roles::report_fork(test);
  } else {
    return 2;
  }
  return 0;
}

}  // namespace nixl_connect::testing
