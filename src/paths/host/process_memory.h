// SPDX-License-Identifier: Apache-2.0
//
// The memory of another process of this host, moved by process_vm_readv and
// process_vm_writev. The kernel names a process by a number that may come to mean
// another one, so each call is bound to the lease word: a secret that the peer keeps at
// a known address for as long as its memory may be touched. Any thread.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nixl_connect/metadata.h"
#include "paths/host/copy.h"

namespace nixl_connect::paths::host {

struct LeaseWord {
  std::uint32_t pid = 0;  // as this process sees it
  std::uint64_t address = 0;
  std::uint64_t token = 0;
};

// Whether the process is within reach and its word holds the token.
Fault look(const LeaseWord& lease) noexcept;

// Ranges for one system call. Neighbours are made one, on each side for itself.
class Batch {
 public:
  static constexpr std::size_t kMaxRanges = Copy::kPieceRanges;

  // At most kMaxRanges.
  void add(const Range& range) noexcept {
    local_.add(range.local, range.size);
    remote_.add(range.remote, range.size);
    bytes_ += range.size;
  }

  // Called once. No fault: all bytes, with a lease that was not over. A read takes the
  // word after the bytes and out of the same memory, a write looks at it before.
  Moved move(OperationKind kind, const LeaseWord& lease) noexcept;

 private:
  struct Side {
    std::array<iovec, kMaxRanges + 1> parts;  // and the lease word
    std::size_t count = 0;

    void add(std::uint64_t address, std::uint64_t size) noexcept;
    std::uint64_t address(std::uint64_t offset) const noexcept;
  };

  Fault explain(OperationKind kind, std::uint64_t moved,
                const LeaseWord& lease) const noexcept;

  Side local_;
  Side remote_;
  std::uint64_t bytes_ = 0;
};

// Whether the local bytes of the ranges are mapped, and can be written if they are the
// target of a read, as far as that is found out soon: tries one of each page, of at
// most 4,096 pages. That of a target is read and put back.
bool are_accessible(OperationKind kind, std::span<const Range> ranges) noexcept;

}  // namespace nixl_connect::paths::host
