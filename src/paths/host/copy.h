// SPDX-License-Identifier: Apache-2.0
//
// The bytes of one operation between this process and another of the same host, moved
// in pieces by as many threads as like to help (copy_pool.h). How a piece moves is for
// the derived classes. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>

#include "base/kept_blocks.h"
#include "nixl_connect/error.h"

namespace nixl_connect::paths::host {

struct Range {
  std::uintptr_t local = 0;
  std::uint64_t remote = 0;  // an address as the derived class understands it
  std::uint64_t size = 0;
};

using Ranges = base::KeptVector<Range>;

enum class Fault {
  kNone,
  kLeaseOver,     // or it never was: another process, or one that runs another program
  kPeerGone,      // no such process
  kRefused,       // the kernel does not let this process touch that one
  kLocalMemory,   // not mapped, or read-only though it is the target
  kRemoteMemory,  // the same at the peer
  kGpu,           // a GPU or its driver; Copy::cause() says what
};

struct Moved {
  std::uint64_t bytes = 0;
  Fault fault = Fault::kNone;
};

class Copy {
 public:
  // A piece is large enough that what it costs besides its bytes does not count, small
  // enough that stop() takes hold soon and other work of a helping thread can wait.
  static constexpr std::uint64_t kPieceBytes = 512 << 10;
  static constexpr std::size_t kPieceRanges = 128;

  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  virtual ~Copy() = default;

  // The local side is memory of the host and will be written. If it was never touched,
  // each piece gets its pages first, and none of its huge pages is filled by two
  // threads, of which one would make it in vain. Before the first move_piece().
  void prepare_target() noexcept;

  // Whether a read that ends without a fault had its lease until its last byte was
  // here. Otherwise nothing is known of the lease.
  virtual bool checks_lease() const noexcept = 0;

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
  // Of Fault::kGpu.
  struct Cause {
    ErrorKind kind = ErrorKind::kInternal;
    std::string text;
  };
  virtual Cause cause() const { return {}; }

  std::uint64_t bytes() const noexcept { return bytes_; }
  // About: there may be some more, or fewer. At least 1.
  std::size_t pieces() const noexcept;

 protected:
  // At least one range, and none of them empty. `progress` gets the bytes moved so far;
  // it and the memory stay until the end. A piece has `piece_bytes` at most.
  Copy(Ranges ranges, std::atomic<std::uint64_t>& progress,
       std::uint64_t piece_bytes = kPieceBytes);

 private:
  struct Piece {
    std::array<Range, kPieceRanges> ranges;
    std::size_t count = 0;
  };

  // Called by several threads at once. No fault: all bytes are where they belong.
  virtual Moved move(std::span<const Range> piece) noexcept = 0;
  // Called once, at the end, before anybody is told of it: whatever is held for move()
  // has to be closed by then, however long the copy itself is kept.
  virtual void let_go() noexcept {}

  bool take(Piece& piece) noexcept;
  std::uint64_t most_bytes() const noexcept;
  Step ended_if_last() noexcept;
  bool is_all_taken() const noexcept;

  const Ranges ranges_;
  const std::uint64_t bytes_;
  const std::uint64_t piece_bytes_;
  std::atomic<std::uint64_t>& progress_;
  bool is_target_fresh_ = false;

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
