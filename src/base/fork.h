// SPDX-License-Identifier: Apache-2.0
//
// Tells a process from its forked children, in which neither UCX nor our threads live.
// Thread-safe.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace nixl_connect::base {

// A number that differs in a forked child from what it was in the parent. As cheap as a
// load, unlike getpid().
std::uint64_t fork_generation() noexcept;

// getpid() of this process, as cheaply.
pid_t process_id() noexcept;

}  // namespace nixl_connect::base
