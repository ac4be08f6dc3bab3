// SPDX-License-Identifier: Apache-2.0
//
// Whether another process is on its way out. The kernel closes its sockets early on it
// and lets its GPU go late, when all its files have been let go; only then is the
// process gone (a pidfd is readable). Any thread.
#pragma once

#include <sys/types.h>

namespace nixl_connect::base {

// No thread of it runs any program again, and some of it is left. False also of a
// process that this one's /proc does not show.
bool is_exiting(pid_t process);

// The same, or none of it is left.
bool has_gone(pid_t process);

}  // namespace nixl_connect::base
