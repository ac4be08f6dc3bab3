// SPDX-License-Identifier: Apache-2.0
//
// One column of the comparison: a way to move bytes between two processes. A new path
// adds a class, or a pair of programs for PairColumn, and a line in columns.cc.
#pragma once

#include <cstddef>
#include <string>

#include "nixl_connect/metadata.h"

namespace nixl_connect::bench {

// What to measure. `operations` transfers of `size` bytes each.
struct Work {
  OperationKind kind = OperationKind::kRead;
  std::size_t size = 0;
  unsigned operations = 1;
  unsigned window = 1;  // transfers under way at once where throughput is measured
};

struct Sample {
  double median_us =
      0;  // one transfer at a time, from its begin to its seen completion
  double p99_us = 0;
  double gbps = 0;  // 1e9 bytes per second with `window` transfers under way
};

class Column {
 public:
  explicit Column(std::string name) : name_(std::move(name)) {}
  virtual ~Column() = default;
  Column(const Column&) = delete;
  Column& operator=(const Column&) = delete;

  const std::string& name() const noexcept { return name_; }

  // Measures once, on warm memory and a warm connection.
  virtual Sample measure(const Work& work) = 0;

 private:
  std::string name_;
};

}  // namespace nixl_connect::bench
