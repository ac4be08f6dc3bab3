// SPDX-License-Identifier: Apache-2.0
//
// The other side of the tests' transfers, in a process of its own, or on a thread of
// this one where the path wants that. One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <thread>

#include "contract/arena.h"
#include "contract/path.h"
#include "contract/side.h"
#include "contract/watch.h"
#include "support/child.h"

namespace nixl_connect::contract {

using Json = nlohmann::json;

class Peer {
 public:
  explicit Peer(const Path& path);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // An operation of the peer.
  struct Theirs {
    int number = 0;
    RdmaMetadata metadata{};  // of what was exposed
  };

  // As those of Side.
  Theirs expose(OperationKind kind, const Ranges& ranges, std::uint32_t seed,
                const OperationOptions& options = {});
  Theirs begin(OperationKind kind, const RdmaMetadata& remote, const Ranges& ranges,
               std::uint32_t seed, const OperationOptions& options = {});

  Ending end_of(const Theirs& theirs);
  // Asks for the end and waits for it; `took` gets how long that was.
  Ending cancel(const Theirs& theirs, std::chrono::nanoseconds& took);

  void watch(const Theirs& theirs);
  Watch::Told told(const Theirs& theirs);

  std::string differs_from_filled(const Theirs& theirs, std::uint32_t seed);
  std::string differs_from_cleared(const Theirs& theirs);
  void clear(const Theirs& theirs);
  void unmap(const Theirs& theirs);
  // Lets go of the operation and its memory.
  void drop(const Theirs& theirs);

  // The process; not where it is this one.
  testing::Child& process() { return child_.value(); }

 private:
  Json ask(const Json& order);

  std::optional<testing::Child> child_;
  testing::Channel channel_{base::UniqueFd()};  // to the thread
  std::thread thread_;
};

// Carries out the orders of a Peer until it goes.
void serve(const Path& path, const testing::Channel& test);

}  // namespace nixl_connect::contract
