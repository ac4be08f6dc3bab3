// SPDX-License-Identifier: Apache-2.0
//
// The bytes of one operation between this process and another of the same host, moved
// in pieces by as many threads as like to help (copy_pool.h). Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "nixl_connect/metadata.h"
#include "paths/host/process_memory.h"

namespace nixl_connect::paths::host {

class CmaCopy {
 public:
  // A piece is one Batch of at most so many bytes: large enough that the system call
  // does not count, small enough that stop() takes hold soon and other work of a
  // helping thread can wait for it.
  static constexpr std::uint64_t kPieceBytes = 512 << 10;

  // At least one range, and none of them empty. `progress` gets the bytes moved so far;
  // it and the memory stay until the end.
  CmaCopy(OperationKind kind, const LeaseWord& lease, std::vector<Range> ranges,
          std::atomic<std::uint64_t>& progress);

  // kEnded comes once, from whichever call came last: all pieces are where they belong,
  // or no more will be moved, and no thread is at it.
  enum class Step { kNothingLeft, kGoesOn, kEnded };

  // Moves a piece that nobody has taken yet.
  Step move_piece() noexcept;

  // Takes no further piece. The end is then near, or here.
  Step stop() noexcept;

  // Since the end.
  std::uint64_t bytes_moved() const noexcept { return bytes_moved_; }
  // The first one. None: all bytes were moved, unless it was_stopped().
  Fault fault() const noexcept { return fault_; }
  bool is_complete() const noexcept {
    return bytes_moved_ == bytes_ && fault_ == Fault::kNone;
  }
  bool was_stopped() const noexcept { return was_stopped_; }

  // There may be some more of them. At least 1.
  std::size_t pieces() const noexcept;

 private:
  bool take(Batch& batch) noexcept;
  Step ended_if_last() noexcept;
  bool is_all_taken() const noexcept;

  const OperationKind kind_;
  const LeaseWord lease_;
  const std::vector<Range> ranges_;
  const std::uint64_t bytes_;
  std::atomic<std::uint64_t>& progress_;

  std::mutex mutex_;
  // Guarded by mutex_, but constant since the end.
  std::size_t next_ = 0;      // in ranges_
  std::uint64_t offset_ = 0;  // in that range
  std::size_t under_way_ = 0;
  std::uint64_t bytes_moved_ = 0;
  Fault fault_ = Fault::kNone;
  bool was_stopped_ = false;
  bool has_ended_ = false;
};

}  // namespace nixl_connect::paths::host
