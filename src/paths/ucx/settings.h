// SPDX-License-Identifier: Apache-2.0
//
// The UCX settings of a context: what this library needs, what its user chose, and what
// the user's UCX_* variables say. Any thread.
#pragma once

#include <memory>

#include "paths/ucx/context.h"

namespace nixl_connect::paths::ucx {

using Config = std::unique_ptr<ucp_config_t, void (*)(ucp_config_t*)>;

// Throws Error(kInvalidArgument) if UCX cannot take the network devices, and
// Error(kUnsupported) if it cannot read its own settings.
Config make_config(const Library& library, const ContextOptions& options);

}  // namespace nixl_connect::paths::ucx
