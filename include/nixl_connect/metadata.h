// SPDX-License-Identifier: Apache-2.0
//
// What an exposing process hands to another one, over any side channel, so that it can
// read or write the exposed memory. Plain values. Metadata is a capability: whoever
// holds it can reach the memory while the operation lasts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nixl_connect {

// What the initiating side does with the exposed memory.
enum class OperationKind { kUnspecified = 0, kRead = 1, kWrite = 2 };

// "READ", "WRITE"; "<invalid>" for kUnspecified.
std::string_view to_string(OperationKind kind) noexcept;

// One exposed range. `ptr` is an address in the exposing process.
struct SerializedDescriptor {
  std::string device = "cpu";
  std::uint64_t ptr = 0;
  std::uint64_t size = 0;  // bytes

  bool operator==(const SerializedDescriptor&) const = default;
};

struct RdmaMetadata {
  std::vector<SerializedDescriptor> descriptors;
  std::string nixl_metadata;     // "b64:..." or hexadecimal text of a zlib stream
  std::string notification_key;  // the exposing operation's completion signal
  OperationKind operation_kind = OperationKind::kUnspecified;

  // Compact JSON with the keys in the order above; the form that genuine
  // `dynamo.nixl_connect` peers accept. docs/wire_format.md gives every byte.
  std::string to_json() const;

  // Reads that JSON from any generation of peer, or the media loader's descriptor
  // (`nixl_metadata` + `nixl_descriptor`, which yields one range for reading and a
  // fresh notification key). A key that is missing has its default, which begin_read
  // and begin_write refuse. Throws Error(kInvalidArgument) that names the offending
  // field; takes hostile input, bounded by 64 MiB of text.
  static RdmaMetadata from_json(std::string_view json);

  bool operator==(const RdmaMetadata&) const = default;
};

}  // namespace nixl_connect
