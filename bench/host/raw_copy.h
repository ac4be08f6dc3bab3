// SPDX-License-Identifier: Apache-2.0
//
// The bytes of one transfer, moved by what the machine has and nothing else: the
// ceiling of what a library can reach. For one thread, which takes part.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

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

struct Transfer {
  OperationKind kind = OperationKind::kRead;
  std::byte* local = nullptr;
  Remote remote;
  std::size_t size = 0;
};

class RawCopy {
 public:
  // `piece` bytes are moved at a time by whichever thread is free; 0: each thread moves
  // one part of the whole.
  RawCopy(Means means, unsigned threads, std::size_t piece)
      : means_(means), piece_(piece), team_(threads) {}

  // Throws std::system_error if the kernel refuses.
  void move(const Transfer& transfer);

 private:
  // Nothing, or the errno that ended it.
  int move_piece(const Transfer& transfer, std::size_t offset,
                 std::size_t size) const noexcept;

  const Means means_;
  const std::size_t piece_;
  Team team_;
};

}  // namespace nixl_connect::bench
