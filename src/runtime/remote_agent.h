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

  const std::string& name() const noexcept { return metadata_.agent; }
  const base::Bytes& connection() const noexcept { return *metadata_.connection; }
  // Of a peer of ours; none for a genuine NIXL agent.
  const std::optional<wire::Extension>& extension() const noexcept {
    return metadata_.extension;
  }

  // A region that covers a host memory range; null if there is none. `before`: that of
  // the range before it, from which it is found faster if they are in order.
  const wire::Region* find(std::uint64_t address, std::uint64_t size,
                           const wire::Region* before = nullptr) const noexcept;

 private:
  wire::AgentMetadata metadata_;       // regions of host memory, sorted by address
  std::vector<std::uint64_t> starts_;  // their addresses, close together
  std::vector<std::size_t> furthest_;  // which of the regions [0, i] reaches furthest
};

// A range of the peer's memory; the region belongs to the RemoteAgent.
struct RemoteRange {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  const wire::Region* region = nullptr;  // null for an empty range
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
