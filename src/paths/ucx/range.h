// SPDX-License-Identifier: Apache-2.0
//
// What a transfer moves, and the pieces in which UCX gets it. Values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nixl_connect::paths::ucx {

class Registration;
class RemoteKey;

// A piece of local memory and its counterpart at the peer. The registration covers the
// local piece and outlives the transfer; null: memory of the host that is of no
// context, on an endpoint for memory of GPUs.
struct Range {
  std::uintptr_t local = 0;
  std::uint64_t remote = 0;
  std::uint64_t size = 0;
  const Registration* registration = nullptr;
  const RemoteKey* key = nullptr;
};

// The ranges of one transfer in order: neighbours on both sides are made one, empty
// ones left out, large ones cut.
class Pieces {
 public:
  // Enough for the full rate of every network, and quick to wait for.
  static constexpr std::uint64_t kLargest = 4 << 20;
  // Between GPUs, which take a sixth of a millisecond for it.
  static constexpr std::uint64_t kLargestOfGpus = 64 << 20;

  explicit Pieces(std::vector<Range> ranges, std::uint64_t limit = kLargest);

  // Of all pieces, taken or not.
  std::size_t count() const noexcept { return count_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  std::uint64_t largest() const noexcept { return largest_; }
  // What a piece may have at most.
  std::uint64_t limit() const noexcept { return limit_; }

  bool is_empty() const noexcept { return next_ == ranges_.size(); }

  // The next piece. Not when empty.
  Range take() noexcept;

 private:
  std::vector<Range> ranges_;
  const std::uint64_t limit_;
  std::size_t next_ = 0;      // in ranges_
  std::uint64_t offset_ = 0;  // in that range
  std::size_t count_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t largest_ = 0;
};

}  // namespace nixl_connect::paths::ucx
