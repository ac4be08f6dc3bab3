// SPDX-License-Identifier: Apache-2.0
//
// The ways that bytes can take on this machine, each an instance of every contract
// test: another one is another entry in paths.cc. Plain values.
#pragma once

#include <chrono>
#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nixl_connect/metadata.h"
#include "nixl_connect/options.h"

namespace nixl_connect::contract {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

// kAllocated: by Connector::allocate(). kOtherGpu: the last one, maybe the first again.
enum class MemoryKind { kHeap, kAllocated, kFirstGpu, kOtherGpu };

inline bool is_of_gpu(MemoryKind kind) { return kind >= MemoryKind::kFirstGpu; }

struct Path {
  std::string name;         // of the instance
  std::string taken;        // Operation::path() begins with it,
  std::string transport{};  // and ends with this
  MemoryKind here = MemoryKind::kHeap;
  MemoryKind there = MemoryKind::kHeap;
  std::vector<std::string> forbid{};
  std::vector<std::pair<std::string, std::string>> environment{};
  bool is_one_process = false;
  bool is_served = false;  // the other process has the only GPU, and moves the bytes

  // What is tried.
  std::vector<OperationKind> kinds{OperationKind::kRead, OperationKind::kWrite};
  bool is_for_bytes_only = false;  // by no other tests than those of bytes_test.cc
  std::size_t most_ranges = kIsSanitized ? 1024 : 10'000;

  // So much moves in several pieces, by other instructions.
  std::size_t streamed = (40 << 20) + 1;

  // So much takes long enough to be caught in the middle, mostly: in ranges of that
  // size, of which a GPU is given 250 at a time, or in a single one.
  std::size_t large = (kIsSanitized ? 16 : 64) << 20;
  std::size_t large_range = 0;

  // How long one thread goes on with the copying that cannot be called back.
  std::chrono::milliseconds stops_within{5};

  // What broken promises lead to; docs/errors.md has the reasons.
  bool is_mapped = false;                 // here, whatever the owner does with it
  bool kills_owner_on_munmap = false;     // a transfer of it ends the owner
  bool can_fall_with_reader = false;      // which is killed; see paths.cc
  bool reports_bad_local_memory = false;  // as an Error of that operation alone

  ConnectorOptions options() const;  // of the other process
  ConnectorOptions options_here() const;
};

std::ostream& operator<<(std::ostream& out, const Path& path);

const std::vector<Path>& all_paths();
std::vector<Path> paths_of_all_tests();
std::vector<Path> two_process_paths();
std::vector<Path> paths_that_survive_readers();
std::vector<Path> paths_of_many_bytes();

std::vector<Path> gpu_paths();
// Whether they are real: NIXL_CONNECT_CUDA_DRIVER was set when this was first called.
bool has_gpus();

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
