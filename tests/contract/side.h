// SPDX-License-Identifier: Apache-2.0
//
// One side of the tests' transfers: a Connector, and what it exposes or begins. Both
// processes have one.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>

#include "contract/arena.h"
#include "contract/path.h"
#include "nixl_connect/connector.h"

namespace nixl_connect {

// For GoogleTest.
inline std::ostream& operator<<(std::ostream& out, OperationKind kind) {
  return out << to_string(kind);
}
inline std::ostream& operator<<(std::ostream& out, OperationStatus status) {
  return out << to_string(status);
}

}  // namespace nixl_connect

namespace nixl_connect::contract {

// How an operation ended, as far as its process knows.
struct Ending {
  OperationStatus status = OperationStatus::kUninitialized;
  std::string error;  // the kind's name; empty if there is none
  std::string text;
  std::uint64_t bytes = 0;
  std::string path;
};

// Waits for the end; a status that is not terminal if that takes too long.
Ending end_of(Operation& operation);

// Fails the test unless it is of this kind.
void expect_error(const Ending& ending, ErrorKind kind);

// An operation and its memory. Destroying it cancels it; the memory stays as long as it
// must.
struct Held {
  Arena arena;
  std::shared_ptr<Operation> operation;
  RdmaMetadata metadata{};  // of what was exposed
};

class Side {
 public:
  // Its memory is of that kind.
  Side(MemoryKind memory, const ConnectorOptions& options)
      : memory_(memory), connector_(options) {}

  // The source is filled with `seed`, the target is all guards. Any thread.
  Held expose(OperationKind kind, const Ranges& ranges, std::uint32_t seed,
              const OperationOptions& options = {});
  Held begin(OperationKind kind, const RdmaMetadata& remote, const Ranges& ranges,
             std::uint32_t seed, const OperationOptions& options = {});
  Held begin(OperationKind kind, const RdmaMetadata& remote, Arena arena,
             const OperationOptions& options = {});

  Connector& connector() noexcept { return connector_; }

 private:
  const MemoryKind memory_;
  Connector connector_;
};

}  // namespace nixl_connect::contract
