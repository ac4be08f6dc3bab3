// SPDX-License-Identifier: Apache-2.0
//
// A peer's metadata, decoded and checked once however many operations use it.
// Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "nixl_connect/metadata.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::runtime {

// Constant once made.
class RemoteAgent {
 public:
  // Throws Error(kInvalidArgument) if the metadata has no connection information.
  explicit RemoteAgent(wire::AgentMetadata metadata);
  RemoteAgent(const RemoteAgent&) = delete;
  RemoteAgent& operator=(const RemoteAgent&) = delete;

  const std::string& name() const noexcept { return metadata_.agent; }
  // By which the process of a peer of ours is known, whatever its memory is.
  const base::Bytes& connection() const noexcept {
    const auto& ours = metadata_.extension;
    return ours && !ours->connection.empty() ? ours->connection : *metadata_.connection;
  }
  // Of the worker to which the regions' keys belong.
  const base::Bytes& connection_of_keys() const noexcept {
    return *metadata_.connection;
  }
  // Of a peer of ours; none for a genuine NIXL agent.
  const std::optional<wire::Extension>& extension() const noexcept {
    return metadata_.extension;
  }

  // A region of that memory, the host's or a GPU's, which covers the range; null if
  // there is none.
  const wire::Region* find(
      std::uint64_t address, std::uint64_t size,
      wire::MemoryType memory = wire::MemoryType::kDram) const noexcept;

 private:
  // Where a region begins, and which of those that begin there or before
  // reaches furthest, and how far: all that a search needs, close together.
  struct Mark {
    std::uint64_t start;
    std::uint64_t furthest_end;
    const wire::Region* furthest;
  };

  using Marks = std::vector<Mark>;  // in the order of their starts

  static const Mark& last_not_above(const Marks& marks, std::uint64_t address) noexcept;
  void mark(wire::MemoryType memory, Marks& marks) const;

  wire::AgentMetadata metadata_;
  Marks of_host_;
  Marks of_gpus_;
};

class RemoteAgents {
 public:
  // Decodes `nixl_metadata` text. Throws what wire::decode_blob_text and wire::decode
  // throw.
  std::shared_ptr<const RemoteAgent> load(const std::string& text);

 private:
  std::mutex mutex_;
  // Guarded by mutex_; emptied when it grows too large.
  std::unordered_map<std::string, std::shared_ptr<const RemoteAgent>> recent_;
  std::size_t recent_bytes_ = 0;
};

}  // namespace nixl_connect::runtime
