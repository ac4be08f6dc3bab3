// SPDX-License-Identifier: Apache-2.0
//
// The library's log: one line a message, to the process's LogSink or standard error.
// Called by every layer, on any thread. Tokens, keys and blobs never go here.
#pragma once

#include <string_view>

#include "nixl_connect/options.h"

namespace nixl_connect::base {

void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warning(std::string_view message);
void log_error(std::string_view message);

// Whether log_debug() writes anything, for messages that take long to make.
bool is_debugging();

}  // namespace nixl_connect::base
