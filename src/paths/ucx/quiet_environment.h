// SPDX-License-Identifier: Apache-2.0
//
// The environment that keeps UCX quiet while its libraries are being opened: they read
// these variables in their constructors, and never again. One thread at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace nixl_connect::paths::ucx {

class QuietEnvironment {
 public:
  QuietEnvironment();
  QuietEnvironment(const QuietEnvironment&) = delete;
  QuietEnvironment& operator=(const QuietEnvironment&) = delete;

  // Restores every variable exactly.
  ~QuietEnvironment();

 private:
  struct Saved {
    const char* name;
    std::optional<std::string> value;  // none: was not set
  };
  std::vector<Saved> saved_;
};

}  // namespace nixl_connect::paths::ucx
