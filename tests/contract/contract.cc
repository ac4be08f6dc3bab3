// SPDX-License-Identifier: Apache-2.0
#include "contract/contract.h"

#include <thread>
#include <utility>

namespace nixl_connect::contract {

void Contract::expect_complete(const Ending& ending, std::uint64_t bytes) const {
  EXPECT_EQ(ending.status, OperationStatus::kComplete) << ending.text;
  EXPECT_EQ(ending.bytes, bytes);
  if (bytes > 0) {
    EXPECT_TRUE(ending.path.starts_with(path().taken)) << ending.path;
    EXPECT_TRUE(ending.path.ends_with(path().transport)) << ending.path;
  }
}

void Contract::expect_moves(const Ranges& theirs, const Ranges& ours) {
  const std::uint32_t seed = next_seed();
  const Peer::Theirs exposed = peer_->expose(kind(), theirs, seed);
  Held held = here_.begin(kind(), exposed.metadata, ours, seed);
  expect_complete(end_of(*held.operation), held.arena.size());
  expect_complete(peer_->end_of(exposed), held.arena.size());
  EXPECT_EQ(held.arena.differs_from_filled(seed), "");
  EXPECT_EQ(peer_->differs_from_filled(exposed, seed), "");
  peer_->drop(exposed);
}

OperationOptions Contract::by_pieces(OperationOptions options) const {
  if (path().large_range != 0) options.sm = false;
  return options;
}

Contract::UnderWay Contract::begin_large(const OperationOptions& options) {
  Peer::Theirs exposed = peer_->expose(kind(), large_ranges(), next_seed());
  Arena arena(path().here, large_ranges());
  arena.clear();
  const auto begun = std::chrono::steady_clock::now();
  Held held =
      here_.begin(kind(), exposed.metadata, std::move(arena), by_pieces(options));
  while (held.operation->bytes_transferred() == 0 &&
         !is_terminal(held.operation->status()))
    std::this_thread::yield();
  return {std::move(exposed), std::move(held), begun};
}

// Behind another transfer nothing can be left of it.
void Contract::expect_quiet(UnderWay& ended) {
  if (is_read())
    ended.ours.arena.clear();
  else
    peer_->clear(ended.theirs);
  expect_moves(one(1 << 20), one(1 << 20));
  EXPECT_EQ(is_read() ? ended.ours.arena.differs_from_cleared()
                      : peer_->differs_from_cleared(ended.theirs),
            "");
}

std::string instance_name(
    const ::testing::TestParamInfo<std::tuple<Path, OperationKind>>& instance) {
  const auto& [path, kind] = instance.param;
  return path.name + (kind == OperationKind::kRead ? "Read" : "Write");
}

}  // namespace nixl_connect::contract
