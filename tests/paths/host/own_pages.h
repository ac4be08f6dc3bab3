// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says of this process's pages, for tests.
#pragma once

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace nixl_connect::testing {

// What applies to the mapping of an address, as /proc/self/smaps has it.
struct PagesOfMapping {
  std::uint64_t huge_kib = 0;  // in huge pages
  bool is_advised = false;     // to have huge pages
};

inline PagesOfMapping pages_of_mapping(std::uintptr_t address) {
  std::ifstream smaps("/proc/self/smaps");
  PagesOfMapping pages;
  bool is_inside = false;
  for (std::string line; std::getline(smaps, line);) {
    std::istringstream words(line);
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    if (line[0] < 'A' || line[0] > 'Z') {
      words >> std::hex >> begin >> dash >> end;
      is_inside = address >= begin && address < end;
    } else if (std::string name; is_inside && words >> name) {
      if (name == "AnonHugePages:") words >> pages.huge_kib;
      if (name == "VmFlags:") pages.is_advised = line.find(" hg") != std::string::npos;
    }
  }
  return pages;
}

// "always", "madvise" or "never".
inline std::string mode_of_huge_pages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  std::getline(file, line);
  const auto begin = line.find('[') + 1;
  return begin == 0 ? "never" : line.substr(begin, line.find(']') - begin);
}

}  // namespace nixl_connect::testing
