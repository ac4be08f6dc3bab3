// SPDX-License-Identifier: Apache-2.0
//
// Memory that is about to be overwritten and that nobody has touched yet. It has no
// pages, and to get them one by one, a fault for each, costs more than the copy. Any
// thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "nixl_connect/descriptor.h"
#include "paths/host/copy.h"

namespace nixl_connect::paths::host {

constexpr std::uint64_t kHugePageBytes = 2 << 20;

// Less, neighbours taken together, is not looked at: it would gain little.
constexpr std::uint64_t kLeastFreshBytes = 4 << 20;

// Asks for huge pages where a target is large, was never touched, and is private
// anonymous memory: for whole ones within the target only, so that what lies beside it
// stays as it is. That advice stays with the memory until it is unmapped. Does nothing
// where the system gives huge pages without being asked, or not at all. A target that
// was touched costs a system call or none.
void prepare(std::span<const Descriptor> targets);

// Whether some local side among the ranges is large and was never touched.
bool is_fresh(std::span<const Range> ranges) noexcept;

// Gives pages to the local sides, at less than what their faults would cost. What they
// hold does not change. Where that is not possible, nothing happens.
void populate(std::span<const Range> ranges) noexcept;

// Whether advice makes a difference, as the text of
// /sys/kernel/mm/transparent_hugepage/enabled says.
bool is_advice_heeded(std::string_view enabled) noexcept;

}  // namespace nixl_connect::paths::host
