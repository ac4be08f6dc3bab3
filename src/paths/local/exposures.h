// SPDX-License-Identifier: Apache-2.0
//
// The memory that Connectors of this process expose, so that others of them can copy it
// without the kernel. A lease's token, which is secret, leads to its memory. Any
// thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <span>

#include "nixl_connect/descriptor.h"

namespace nixl_connect::paths::local {

class Exposure {
 public:
  // The descriptors stay where they are until end().
  explicit Exposure(std::span<const Descriptor> descriptors) noexcept
      : descriptors_(descriptors) {}

  // While it is held, the memory is not given back. Not held: the lease is over.
  std::shared_lock<std::shared_mutex> hold() const;

  // Whether the range, which has that number in the operation, lies in what is exposed.
  // Only while it is held.
  bool covers(std::size_t number, std::uint64_t address, std::uint64_t size) const;

  // Returns when nobody holds it any more. Nobody will from then on.
  void end();

 private:
  const std::span<const Descriptor> descriptors_;
  std::atomic<bool> is_over_{false};
  mutable std::shared_mutex mutex_;
};

// From now until the lease is over; `descriptors` as for Exposure.
void expose(std::uint64_t token, std::span<const Descriptor> descriptors);

// The lease is over: returns when no copy touches its memory any more, which is a piece
// of one at most. Does nothing for an unknown token.
void end(std::uint64_t token) noexcept;

// Null if no Connector of this process gave that lease, or it is over.
std::shared_ptr<const Exposure> find(std::uint64_t token);

}  // namespace nixl_connect::paths::local
