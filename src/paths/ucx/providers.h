// SPDX-License-Identifier: Apache-2.0
//
// Where a UCX may be found. Reads the file system; any thread.
#pragma once

#include <string>
#include <vector>

namespace nixl_connect::paths::ucx {

// The library folders of installed `libucx` wheels, best first: of VIRTUAL_ENV, then of
// the python3 on PATH. Only folders that exist.
std::vector<std::string> wheel_directories();

// The file of one UCX library ("libucp") in a folder: libucp.so.0, or the name with a
// hash that a NIXL wheel gives to its own copy. Empty if there is none.
std::string library_file(const std::string& directory, const std::string& name);

// Whether the UCX in `directory` has that module, "ib", "cma" or "cuda".
bool has_module(const std::string& directory, const std::string& name);

}  // namespace nixl_connect::paths::ucx
