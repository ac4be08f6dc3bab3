// SPDX-License-Identifier: Apache-2.0
//
// What the contract tests have in common: each runs on every path, for reads and for
// writes, between this side and a peer's, and sees to it that the bytes took that path.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "contract/path.h"
#include "contract/peer.h"
#include "contract/side.h"

namespace nixl_connect::contract {

class Contract : public ::testing::TestWithParam<std::tuple<Path, OperationKind>> {
 protected:
  const Path& path() const { return std::get<0>(GetParam()); }
  OperationKind kind() const { return std::get<1>(GetParam()); }
  bool is_read() const { return kind() == OperationKind::kRead; }
  std::uint32_t next_seed() { return ++seed_; }

  void renew_peer() { peer_.emplace(path()); }

  // All of `bytes` are where they belong, and came by the path.
  void expect_complete(const Ending& ending, std::uint64_t bytes) const;

  // From the peer's ranges to ours, or the other way, each byte checked on both sides.
  void expect_moves(const Ranges& theirs, const Ranges& ours);

  // To catch a transfer in the middle may take several attempts: while may_try(). One
  // that was missed(), perhaps since this thread or the peer's had to wait for a
  // processor, is followed by a larger one.
  bool may_try() const { return std::chrono::steady_clock::now() < last_try_; }
  void missed() { large_ = std::min(2 * large_, kLargest); }
  std::size_t large() const { return large_; }
  Ranges large_ranges() const { return in_pieces(large_, path().large_range); }
  // Under which a GPU is given those ranges one by one.
  OperationOptions by_pieces(OperationOptions options = {}) const;

  // A transfer of the large_ranges().
  struct UnderWay {
    Peer::Theirs theirs;
    Held ours;
    std::chrono::steady_clock::time_point begun;
  };
  // Returns when it has moved some bytes.
  UnderWay begin_large(const OperationOptions& options = {});
  // Nothing of it is touched any more, now that both sides have come to their end.
  void expect_quiet(UnderWay& ended);

 private:
  static constexpr std::size_t kLargest = 512 << 20;

  Environment environment_{path()};
  std::uint32_t seed_ = 0;
  std::size_t large_ = path().large;
  const std::chrono::steady_clock::time_point last_try_ =
      std::chrono::steady_clock::now() + std::chrono::seconds(kIsSanitized ? 60 : 20);

 protected:
  Side here_{path().here, path().options_here()};
  std::optional<Peer> peer_{path()};
};

std::string instance_name(
    const ::testing::TestParamInfo<std::tuple<Path, OperationKind>>& instance);

// What a fixture is instantiated with: each path and those of the kinds that it is for.
inline auto each(const std::vector<Path>& paths,
                 const std::vector<OperationKind>& kinds = {OperationKind::kRead,
                                                            OperationKind::kWrite}) {
  std::vector<std::tuple<Path, OperationKind>> instances;
  for (const Path& path : paths)
    for (const OperationKind kind : path.kinds)
      if (std::count(kinds.begin(), kinds.end(), kind) > 0)
        instances.emplace_back(path, kind);
  return ::testing::ValuesIn(instances);
}

}  // namespace nixl_connect::contract
