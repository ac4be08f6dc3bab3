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

#include "nixl_connect/metadata.h"

namespace nixl_connect::paths::host {

struct LeaseWord {
  std::uint32_t pid = 0;  // as this process sees it
  std::uint64_t address = 0;
  std::uint64_t token = 0;
};

struct Range {
  std::uintptr_t local = 0;
  std::uint64_t remote = 0;
  std::uint64_t size = 0;
};

enum class Fault {
  kNone,
  kLeaseOver,     // or it never was: another process, or one that runs another program
  kPeerGone,      // no such process
  kRefused,       // the kernel does not let this process touch that one
  kLocalMemory,   // not mapped, or read-only though it is the target
  kRemoteMemory,  // the same at the peer
};

// Whether the process is within reach and its word holds the token.
Fault look(const LeaseWord& lease) noexcept;

// Ranges for one system call. Neighbours are made one, on each side for itself.
class Batch {
 public:
  static constexpr std::size_t kMaxRanges = 128;

  // Not when full.
  void add(const Range& range) noexcept {
    local_.add(range.local, range.size);
    remote_.add(range.remote, range.size);
    bytes_ += range.size;
    ++ranges_;
  }
  bool is_full() const noexcept { return ranges_ == kMaxRanges; }
  std::uint64_t bytes() const noexcept { return bytes_; }

  struct Moved {
    std::uint64_t bytes = 0;
    Fault fault = Fault::kNone;  // none: all bytes, with a lease that was not over
  };

  // Called once. A read takes the word after the bytes and out of the same memory, a
  // write looks at it before.
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
  std::size_t ranges_ = 0;
};

}  // namespace nixl_connect::paths::host
