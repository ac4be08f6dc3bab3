// SPDX-License-Identifier: Apache-2.0
//
// The bytes of one transfer, moved by what the machine has and nothing else: the
// ceiling of what a library can reach. For one thread, which takes part.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/team.h"
#include "nixl_connect/metadata.h"

namespace nixl_connect::bench {

enum class Means {
  kSystemCall,  // process_vm_readv, process_vm_writev
  kMemcpy,      // of memory that both processes have mapped
  kStreaming,   // the same with stores that leave the caches alone
};

// "system-call", "memcpy", "streaming". Throws std::invalid_argument for another one.
Means means_of(const std::string& name);

// Where the other process has its memory.
struct Remote {
  pid_t pid = 0;
  std::uintptr_t address = 0;   // there, for system calls
  std::byte* mapped = nullptr;  // here, for the other means
};

// On both sides.
struct RawRange {
  std::size_t offset = 0;
  std::size_t size = 0;
};

// One range of `size` bytes in pieces; `piece` 0: as many as threads.
std::vector<RawRange> cut(std::size_t size, std::size_t piece, unsigned threads);

struct Transfer {
  OperationKind kind = OperationKind::kRead;
  std::byte* local = nullptr;
  Remote remote;
  std::span<const RawRange> ranges;
  std::size_t at_once = 1;  // so many are taken by whichever thread is free
};

class RawCopy {
 public:
  static constexpr std::size_t kMostAtOnce = 128;

  RawCopy(Means means, unsigned threads) : means_(means), team_(threads) {}

  // Throws std::system_error if the kernel refuses.
  void move(const Transfer& transfer);

  unsigned threads() const noexcept { return team_.size(); }

 private:
  // Nothing, or the errno that ended it.
  int move_some(const Transfer& transfer,
                std::span<const RawRange> ranges) const noexcept;

  const Means means_;
  Team team_;
};

}  // namespace nixl_connect::bench
