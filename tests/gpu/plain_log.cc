// SPDX-License-Identifier: Apache-2.0
//
// The library's log for a program that is to need no other libraries: without spdlog.
#include <iostream>

#include "base/log.h"

namespace nixl_connect::base {

void log_debug(std::string_view /*message*/) {}
void log_info(std::string_view message) { std::clog << message << '\n'; }
void log_warning(std::string_view message) { std::clog << message << '\n'; }
void log_error(std::string_view message) { std::clog << message << '\n'; }
bool is_debugging() { return false; }

}  // namespace nixl_connect::base
