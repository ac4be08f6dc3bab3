// SPDX-License-Identifier: Apache-2.0
#include "contract/side.h"

#include <gtest/gtest.h>

#include <utility>

namespace nixl_connect::contract {

Ending end_of(Operation& operation) {
  constexpr std::chrono::seconds kSoon{50};
  Ending ending;
  try {
    if (!operation.wait_for(kSoon)) ending.text = "still running";
  } catch (const Error& error) {
    ending.error = to_string(error.kind());
    ending.text = error.what();
  }
  ending.status = operation.status();
  ending.bytes = operation.bytes_transferred();
  ending.path = operation.path();
  return ending;
}

void expect_error(const Ending& ending, ErrorKind kind) {
  EXPECT_EQ(ending.status, OperationStatus::kErrored);
  EXPECT_EQ(ending.error, to_string(kind)) << ending.text;
}

Held Side::expose(OperationKind kind, const Ranges& ranges, std::uint32_t seed,
                  const OperationOptions& options) {
  Arena arena(memory_, ranges);
  if (kind == OperationKind::kRead) {
    arena.fill(seed);
    auto readable = std::make_shared<ReadableOperation>(
        connector_.create_readable(arena.descriptors(), options));
    const RdmaMetadata metadata = readable->metadata();
    return {std::move(arena), std::move(readable), metadata};
  }
  arena.clear();
  auto writable = std::make_shared<WritableOperation>(
      connector_.create_writable(arena.descriptors(), options));
  const RdmaMetadata metadata = writable->metadata();
  return {std::move(arena), std::move(writable), metadata};
}

Held Side::begin(OperationKind kind, const RdmaMetadata& remote, const Ranges& ranges,
                 std::uint32_t seed, const OperationOptions& options) {
  Arena arena(memory_, ranges);
  if (kind == OperationKind::kWrite)
    arena.fill(seed);
  else
    arena.clear();
  return begin(kind, remote, std::move(arena), options);
}

Held Side::begin(OperationKind kind, const RdmaMetadata& remote, Arena arena,
                 const OperationOptions& options) {
  if (kind == OperationKind::kRead) {
    auto read = std::make_shared<ReadOperation>(
        connector_.begin_read(remote, arena.descriptors(), options));
    return {std::move(arena), std::move(read)};
  }
  auto write = std::make_shared<WriteOperation>(
      connector_.begin_write(arena.descriptors(), remote, options));
  return {std::move(arena), std::move(write)};
}

}  // namespace nixl_connect::contract
