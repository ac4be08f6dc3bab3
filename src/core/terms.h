// SPDX-License-Identifier: Apache-2.0
//
// The numbers by which the core speaks of things, and its time. Plain values.
#pragma once

#include <chrono>
#include <cstdint>

namespace nixl_connect::core {

using OperationId = std::uint64_t;  // of this Connector; never 0, never used again
using PeerId = std::uint64_t;  // of this Connector; a restarted peer gets a new one
using LeaseId = std::uint64_t;

// Nanoseconds on any clock that never goes back.
using Time = std::chrono::nanoseconds;
constexpr Time kNever = Time::max();

}  // namespace nixl_connect::core
