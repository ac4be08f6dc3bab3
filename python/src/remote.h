// SPDX-License-Identifier: Apache-2.0
//
// A peer's metadata as the library takes it, made once and used for any number of
// operations, and how its ranges are matched with local memory. Immutable values.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "memory.h"
#include "nixl_connect/metadata.h"

namespace nixl_connect::python {

class Remote {
 public:
  explicit Remote(RdmaMetadata metadata) : metadata_(std::move(metadata)) {}

  const RdmaMetadata& metadata() const noexcept { return metadata_; }
  // All ranges stand for one descriptor, as pages() makes them.
  bool is_paged() const noexcept { return is_paged_; }

  // Pages of the only range that is named, by the reader's own indices.
  Remote pages(std::size_t page_bytes, std::span<const std::int64_t> indices) const;

 private:
  RdmaMetadata metadata_;
  bool is_paged_ = false;
};

// Remote and local ranges, one to one.
struct Match {
  std::vector<Descriptor> local;
  // Set if the remote ranges had to be split; otherwise they are those of the Remote.
  std::optional<RdmaMetadata> remote;
};

// Whether they can be matched: as many descriptors of the same sizes on both sides.
bool is_matched(const Remote& remote, std::span<const Memory* const> memories);

// Where a descriptor has several ranges, here or there, both sides are split at each
// other's bounds. What cannot be matched is left as it is, for the library to refuse.
Match match(const Remote& remote, std::span<const Memory* const> memories);

}  // namespace nixl_connect::python
