// SPDX-License-Identifier: Apache-2.0
//
// Closing a Connector takes as long as peers take to let go of memory. One that Python
// drops without close(), perhaps in an event loop or in a garbage collection, is closed
// by a thread of its own. Any thread; no locks, which a fork() could leave locked.
#pragma once

#include <memory>

#include "nixl_connect/connector.h"

namespace nixl_connect::python {

// With the GIL.
void close_elsewhere(std::shared_ptr<Connector> connector);

// Waits until all of them are closed. With the GIL, which is released meanwhile.
void finish_closing();

// In a forked child, which has none of those threads.
void forget_closing() noexcept;

}  // namespace nixl_connect::python
