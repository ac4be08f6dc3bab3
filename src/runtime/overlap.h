// SPDX-License-Identifier: Apache-2.0
//
// Whether an operation within this process would write what it reads: several threads
// or a GPU move its bytes in any order, so that the outcome would be any. Pure
// functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "nixl_connect/descriptor.h"
#include "runtime/remote_ranges.h"

namespace nixl_connect::runtime {

struct Overlap {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
};

// Some bytes that are on both sides, if there are any. Addresses of all devices of a
// process are different. Thousands of ranges take microseconds: where the sides lie
// apart, or both consist of pages of one memory, nothing is sorted.
std::optional<Overlap> find_overlap(std::span<const Descriptor> local,
                                    const RemoteRanges& remote);

// Throws Error(kInvalidArgument) if there are any.
void check_apart(std::span<const Descriptor> local, const RemoteRanges& remote);

}  // namespace nixl_connect::runtime
