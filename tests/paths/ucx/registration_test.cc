// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "nixl_connect/error.h"
#include "paths/ucx/pattern.h"
#include "paths/ucx/peer.h"
#include "paths/ucx/session.h"

namespace nixl_connect::paths::ucx::testing {
namespace {

TEST(Registration, OfTheSameMemoryHasTheSameKeyEveryTime) {
  const Session session;
  const Pages pages(1 << 20);
  const Registration first(session.context, pages.address(), 1 << 20);
  const Registration second(session.context, pages.address(), 1 << 20);
  EXPECT_FALSE(first.packed_rkey().empty());
  EXPECT_EQ(first.packed_rkey(), second.packed_rkey());
}

TEST(Registration, AcceptsReadOnlyMemoryThatPeersCanThenRead) {
  Peer peer;
  const RemoteMemory remote = peer.expose(1 << 16, 5, /*is_read_only=*/true);
  Session session;
  const Pages local(1 << 16);
  const Registration registration(session.context, local.address(), 1 << 16);
  Endpoint& endpoint = session.worker.connect(peer.address(), nullptr);
  const RemoteKey& key = endpoint.remote_key(remote.rkey);
  const TransferResult result = session.run(
      endpoint, Direction::kGet,
      {{local.address(), remote.address, remote.size, &registration, &key}}, false);
  EXPECT_FALSE(result.failure) << *result.failure;
  EXPECT_TRUE(matches(local.bytes(), 5));
}

TEST(RemoteKey, IsRefusedWhenTruncated) {
  Session session;
  Endpoint& endpoint = session.worker.connect(session.worker.address(), nullptr);
  for (std::size_t size : {0U, 1U, 8U}) {
    const base::Bytes truncated(size);
    EXPECT_THROW(endpoint.remote_key(truncated), Error) << size;
  }
}

TEST(RemoteKey, IsUnpackedOnce) {
  Session session;
  const Pages pages(4096);
  const Registration registration(session.context, pages.address(), 4096);
  Endpoint& endpoint = session.worker.connect(session.worker.address(), nullptr);
  EXPECT_EQ(&endpoint.remote_key(registration.packed_rkey()),
            &endpoint.remote_key(registration.packed_rkey()));
}

}  // namespace
}  // namespace nixl_connect::paths::ucx::testing
