// SPDX-License-Identifier: Apache-2.0
//
// For tests of peers that are lost: given up though they live, or dead.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "support/child.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::testing {

// Somebody else turns up under the name of that peer, so that the connector gives the
// peer up.
inline void lose_peer(Connector& connector, const std::string& agent) {
  Connector other(across_processes());
  Buffer source(4096);
  Buffer target(4096);
  const auto readable = other.create_readable(source.descriptor());
  RdmaMetadata metadata = readable.metadata();
  wire::AgentMetadata named =
      wire::decode(wire::decode_blob_text(metadata.nixl_metadata));
  named.agent = agent;
  metadata.nixl_metadata =
      wire::encode_blob_text(wire::encode(named), wire::BlobText::kBase64);
  auto read = connector.begin_read(metadata, target.descriptor());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
}

// Kills the process that exposes `remote` for reading. On return the connector has
// noticed, and decided how all that it has under way with that process ends. `local` is
// as large as `remote`, and is not touched.
inline void kill_noticed(Child& exposer, Connector& connector, RdmaMetadata remote,
                         const std::vector<Descriptor>& local) {
  exposer.stop();  // so that this write waits for its Grant until the end
  remote.operation_kind = OperationKind::kWrite;
  auto write = connector.begin_write(local, remote);
  exposer.kill();
  EXPECT_EQ(kind_of([&] { (void)write.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

}  // namespace nixl_connect::testing
