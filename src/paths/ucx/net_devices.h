// SPDX-License-Identifier: Apache-2.0
//
// The network devices of this host, for lists of their names that users write. Any
// thread.
#pragma once

#include <string>

namespace nixl_connect::paths::ucx {

// Throws Error(kInvalidArgument), with the names that there are, if the list
// ("eth0,mlx5_0:1") names a device that this host does not have: UCX would go on
// without it. Patterns ("mlx5_*", "^lo", "all") are UCX's own affair.
void check_net_devices(const std::string& devices);

}  // namespace nixl_connect::paths::ucx
