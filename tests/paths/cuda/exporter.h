// SPDX-License-Identifier: Apache-2.0
//
// A second process with memory of the stand-in's first GPU, which it exports.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "paths/cuda/imported_memory.h"
#include "paths/cuda/roles.h"

namespace nixl_connect::paths::cuda::testing {

class Exporter {
 public:
  Exporter() : child_("export memory") {}

  struct Exported {
    ForeignMemory memory;
    std::vector<base::UniqueFd> files;
  };
  // Each byte of it is `value`.
  Exported allocate(std::size_t size, unsigned value) const {
    return ask("allocate " + std::to_string(size) + " " + std::to_string(value));
  }
  // A segment of so many chunks, with `value` in the first, one more in each.
  Exported map(std::size_t chunks, unsigned value) const {
    return ask("map " + std::to_string(chunks) + " " + std::to_string(value));
  }
  // All that it has.
  void free() const;
  void kill() { child_.kill(); }

  Instance instance() const noexcept;

 private:
  Exported ask(const std::string& question) const;

  Child child_;
};

}  // namespace nixl_connect::paths::cuda::testing
