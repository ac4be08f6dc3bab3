// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "demo/report.h"

#include <unistd.h>

#include <iomanip>
#include <iostream>
#include <iterator>
#include <sstream>

namespace demo {

std::string readable_size(std::size_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; size >= 1024 && unit + 1 < std::size(kUnits); ++unit) size /= 1024;
  std::ostringstream text;
  text << std::fixed << std::setprecision(unit == 0 ? 0 : 1) << size << ' '
       << kUnits[unit];
  return text.str();
}

Progress::Progress(std::size_t total)
    : total_(total), is_on_terminal_(::isatty(STDOUT_FILENO) == 1) {}

void Progress::show(const std::string& direction, std::size_t bytes) {
  const double share = static_cast<double>(bytes) / static_cast<double>(total_);
  const int tenths = static_cast<int>(share * 10);
  if (!is_on_terminal_ && tenths == tenths_shown_) return;
  tenths_shown_ = tenths;
  std::cout << (is_on_terminal_ ? "\r" : "") << std::left << std::setw(9) << direction
            << std::right << std::setw(3) << static_cast<int>(share * 100) << " %  "
            << readable_size(bytes) << " of " << readable_size(total_)
            << (is_on_terminal_ ? "    " : "\n") << std::flush;
}

void Progress::finish() {
  if (is_on_terminal_) std::cout << std::endl;
}

void print_table(const std::vector<Row>& rows) {
  std::cout << "\ndirection           bytes          time    GB/s  path\n"
            << std::fixed;
  for (const Row& row : rows) {
    const double gigabytes = static_cast<double>(row.bytes) / 1e9;
    std::cout << std::left << std::setw(9) << row.direction << std::right
              << std::setw(16) << row.bytes << std::setprecision(3) << std::setw(11)
              << row.seconds * 1e3 << " ms" << std::setprecision(2) << std::setw(8)
              << gigabytes / row.seconds << "  " << row.path << "\n";
  }
}

}  // namespace demo
