// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/roles.h"

#include "paths/cuda/session.h"
#include "paths/cuda/stand_in/control.h"

namespace nixl_connect {

namespace testing {

int run_role(std::string_view role, const Channel& test) {
  namespace roles = paths::cuda::testing;
  if (role == "hand out memory") {
    roles::hand_out_memory(test);
  } else if (role == "export memory") {
    roles::export_memory(test);
  } else {
    return 2;
  }
  return 0;
}

}  // namespace testing

}  // namespace nixl_connect
