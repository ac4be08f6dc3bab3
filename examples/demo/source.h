// SPDX-License-Identifier: Apache-2.0
//
// The bytes that the demo moves. Plain functions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace demo {

struct Source {
  std::string name;
  std::vector<std::byte> bytes;  // at least one
};

// Throws std::runtime_error that names the file and what is wrong with it.
Source read_source(const std::string& path);

Source random_source(std::size_t size);

}  // namespace demo
