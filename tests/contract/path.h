// SPDX-License-Identifier: Apache-2.0
//
// The ways that bytes can take on this machine, each an instance of every contract
// test: another one is another entry in paths.cc. Plain values.
#pragma once

#include <chrono>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nixl_connect/options.h"

namespace nixl_connect::contract {

enum class MemoryKind { kHeap, kAllocated };  // kAllocated: by Connector::allocate()

struct Path {
  std::string name;         // of the instance
  std::string taken;        // Operation::path() begins with it,
  std::string transport{};  // and ends with this
  MemoryKind memory = MemoryKind::kHeap;
  std::vector<std::string> forbid{};
  std::vector<std::pair<std::string, std::string>> environment{};
  bool is_one_process = false;

  // How long one thread goes on with the copying that cannot be called back.
  std::chrono::milliseconds stops_within{5};

  // What broken promises lead to; docs/errors.md has the reasons.
  bool outlives_munmap = false;           // the owner may unmap exposed memory
  bool kills_owner_on_munmap = false;     // a transfer of it ends the owner
  bool can_fall_with_reader = false;      // which is killed; see paths.cc
  bool reports_bad_local_memory = false;  // as an Error of that operation alone

  ConnectorOptions options() const;
};

std::ostream& operator<<(std::ostream& out, const Path& path);

const std::vector<Path>& all_paths();
std::vector<Path> two_process_paths();
std::vector<Path> paths_that_survive_readers();

// Throws std::out_of_range.
const Path& path_named(std::string_view name);

// Sets the path's variables in this process, and with them in its children, until it
// goes.
class Environment {
 public:
  explicit Environment(const Path& path);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const Path& path_;
};

}  // namespace nixl_connect::contract
