// SPDX-License-Identifier: Apache-2.0
//
// Commands, messages and outcomes as text, for traces and for readable expectations.
#pragma once

#include <string>

#include "core/commands.h"

namespace nixl_connect::core::simulation {

std::string describe(const wire::ControlBody& message);
std::string describe(const Outcome& outcome);
std::string describe(const Command& command);

}  // namespace nixl_connect::core::simulation
