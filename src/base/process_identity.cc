// SPDX-License-Identifier: Apache-2.0
#include "base/process_identity.h"

#include <atomic>
#include <cstdint>

#include "base/fork.h"
#include "base/random.h"

namespace nixl_connect::base {
namespace {

struct Identity {
  std::uint64_t fork_generation = 0;
  std::array<std::byte, 16> bytes{};
};

}  // namespace

// Without a lock, which might be held for ever in a child made by fork().
std::array<std::byte, 16> process_identity() {
  static std::atomic<const Identity*> known{nullptr};
  const Identity* current = known.load();
  while (current == nullptr || current->fork_generation != fork_generation()) {
    auto* const made = new Identity{fork_generation(), {}};
    fill_random(made->bytes);
    if (known.compare_exchange_strong(current, made))
      current = made;  // and stays until the process ends
    else
      delete made;
  }
  return current->bytes;
}

}  // namespace nixl_connect::base
