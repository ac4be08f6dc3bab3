// SPDX-License-Identifier: Apache-2.0
//
// A peer's metadata as the library takes it, made once and used for any number of
// operations, and how its ranges are matched with local memory. Immutable values,
// looked at with the GIL.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "memory.h"
#include "nixl_connect/metadata.h"
#include "nixl_connect/pages.h"

namespace nixl_connect::python {

class Remote {
 public:
  explicit Remote(RdmaMetadata metadata) : metadata_(std::move(metadata)) {}

  // Of pages that the library takes by their numbers, the descriptors are made by the
  // first call.
  const RdmaMetadata& metadata() const;
  // The same, whose descriptors may be missing.
  const RdmaMetadata& header() const noexcept { return metadata_; }
  std::vector<Range> ranges() const;
  std::size_t range_count() const noexcept;
  std::size_t size() const noexcept;  // bytes
  // As Memory::overlap().
  std::optional<std::pair<std::size_t, std::size_t>> overlap() const;
  const std::optional<RemotePages>& numbered() const noexcept { return numbered_; }
  // All ranges are those of pages, as pages() makes them; the number of these.
  bool is_paged() const noexcept { return page_count_ != 0; }
  std::size_t page_count() const noexcept { return page_count_; }

  // Pages of what is named, by the reader's own indices.
  Remote pages(std::size_t page_bytes, std::span<const std::int64_t> indices) const;

 private:
  mutable RdmaMetadata metadata_;
  std::size_t page_count_ = 0;
  std::optional<RemotePages> numbered_;
};

// Whether both sides are pages, as many and of one size, which the library takes by
// their numbers.
bool are_numbered(const Remote& remote, std::span<const Memory* const> memories);

// Remote and local ranges, one to one.
struct Match {
  std::vector<Descriptor> local;
  // Set if the remote ranges had to be split; otherwise they are those of the Remote.
  std::optional<RdmaMetadata> remote;
};

// Whether they can be matched: each local descriptor takes the next of the remote
// ranges that have as many bytes together, one or several, until all are taken.
bool is_matched(const Remote& remote, std::span<const Memory* const> memories);

// Where a descriptor is of several ranges, here or there, both sides are split at each
// other's bounds. What cannot be matched is left as it is, for the library to refuse.
Match match(const Remote& remote, std::span<const Memory* const> memories);

}  // namespace nixl_connect::python
