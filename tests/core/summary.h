// SPDX-License-Identifier: Apache-2.0
//
// The commands an engine gave out, as one short line: what the tests of the core
// compare.
#pragma once

#include <string>

#include "core/engine.h"

namespace nixl_connect::core {

// Takes the commands. "attach 1 to 7" names the message, its operation and the peer;
// "" means that there were none.
std::string summary(Engine& engine);

}  // namespace nixl_connect::core
