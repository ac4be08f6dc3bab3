// SPDX-License-Identifier: Apache-2.0
//
// The metadata of a NIXL agent: the raw bytes that peers load to reach our memory, and
// that we load to reach theirs. One dialect, NIXL 0.6 to 1.5; docs/wire_format.md gives
// every byte. Pure functions; the decoder takes hostile bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "wire/extension.h"

namespace nixl_connect::wire {

enum class MemoryType : std::int32_t {
  kDram = 0,
  kVram = 1,
  kBlock = 2,
  kObject = 3,
  kFile = 4
};

// One reachable range of a peer's memory, with the key that the UCX backend needs. One
// without a key is for peers of ours, which reach it by other paths: genuine agents,
// which would take the key for one, are told of another backend and skip it.
struct Region {
  MemoryType memory = MemoryType::kDram;
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  std::uint64_t device_id = 0;
  base::Bytes rkey;

  bool operator==(const Region&) const = default;
};

struct AgentMetadata {
  std::string agent;                      // never empty
  std::optional<base::Bytes> connection;  // UCX worker address; none in a partial blob
  std::vector<Region> regions;
  std::optional<Extension> extension;  // present: the peer is one of ours

  bool operator==(const AgentMetadata&) const = default;
};

// Sections in order of memory type, regions of a section by (device, address, size), as
// genuine agents send them. Throws Error(kInvalidArgument) for an empty agent name.
base::Bytes encode(const AgentMetadata& metadata);

// Connections and sections of further backends are skipped. An extension that is
// damaged or of another version counts as absent. Throws Error(kInvalidArgument) naming
// the tag found and the tag expected, or the length that reaches outside the blob;
// throws Error(kUnsupported) if there are connections but none of UCX. Memory used is
// at most a small multiple of the blob.
AgentMetadata decode(base::BytesView blob);

}  // namespace nixl_connect::wire
