// SPDX-License-Identifier: Apache-2.0
//
// What the demo prints while and after it moves bytes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace demo {

// "256.0 MiB"
std::string readable_size(std::size_t bytes);

// One line that grows in place on a terminal; elsewhere a line for each tenth.
class Progress {
 public:
  explicit Progress(std::size_t total);

  void show(const std::string& direction, std::size_t bytes);
  // Later output begins on a new line.
  void finish();

 private:
  std::size_t total_;
  bool is_on_terminal_;
  int tenths_shown_ = -1;
};

// One finished transfer.
struct Row {
  std::string direction;
  std::size_t bytes;
  double seconds;
  std::string path;
};

void print_table(const std::vector<Row>& rows);

}  // namespace demo
