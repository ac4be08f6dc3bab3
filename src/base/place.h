// SPDX-License-Identifier: Apache-2.0
//
// Where on its host this process lives, so that a peer can tell which of the ways
// between the two are shut, and why. Thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace nixl_connect::base {

// What cannot be found out is zero.
struct Place {
  std::array<std::byte, 16> boot{};     // of the kernel: random, new with each start
  std::uint64_t pid_namespace = 0;      // inode
  std::uint64_t network_namespace = 0;  // inode
  std::uint32_t user = 0;               // effective, as the process itself sees it

  bool operator==(const Place&) const = default;
};

// The user as of now, the rest as of the first call in this process or the one that it
// was forked from.
Place place_of_this_process() noexcept;

}  // namespace nixl_connect::base
