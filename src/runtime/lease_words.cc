// SPDX-License-Identifier: Apache-2.0
#include "runtime/lease_words.h"

#include <numeric>

#include "base/random.h"
#include "nixl_connect/error.h"

namespace nixl_connect::runtime {

LeaseWords::LeaseWords(const paths::ucx::Context& context)
    : words_(kSlots),
      registration_(context, reinterpret_cast<std::uintptr_t>(words_.data()),
                    words_.size() * sizeof words_[0]),
      free_slots_(kSlots) {
  std::iota(free_slots_.rbegin(), free_slots_.rend(), 0U);
}

wire::LeaseRecord LeaseWords::grant() {
  wire::LeaseRecord lease;
  while (lease.token == 0) lease.token = base::random_u64();
  const std::lock_guard lock(mutex_);
  if (free_slots_.empty())
    throw Error(ErrorKind::kNoResources,
                std::to_string(kSlots) +
                    " operations are exposed at once, which is the limit; await or "
                    "cancel some, or expose lists of descriptors");
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  lease.id = ++granted_ * kSlots + slot;
  std::atomic_ref(words_[slot]).store(lease.token);
  lease.word_address = reinterpret_cast<std::uintptr_t>(&words_[slot]);
  lease.word_rkey = registration_.packed_rkey();
  return lease;
}

void LeaseWords::end(core::LeaseId lease) noexcept {
  const std::size_t slot = lease % kSlots;
  // Sequentially consistent: the user may overwrite the exposed memory right after.
  std::atomic_ref(words_[slot]).store(0);
  const std::lock_guard lock(mutex_);
  free_slots_.push_back(static_cast<std::uint32_t>(slot));
}

}  // namespace nixl_connect::runtime
