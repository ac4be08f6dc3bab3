// SPDX-License-Identifier: Apache-2.0
#include "runtime/lease_words.h"

#include <unistd.h>

#include <cstring>
#include <numeric>

#include "base/random.h"
#include "nixl_connect/error.h"
#include "paths/local/exposures.h"

namespace nixl_connect::runtime {
namespace {

constexpr std::size_t kBytes =
    kLeaseTableHeadBytes + LeaseWords::kSlots * sizeof(std::uint64_t);

}  // namespace

LeaseWords::LeaseWords(const paths::ucx::Context& context,
                       const wire::InstanceId& instance)
    : memory_(kLeaseTableName, kBytes, base::SharedMemory::PageSize::kUsual,
              base::SharedMemory::Writers::kOnlyThisProcess),
      words_(reinterpret_cast<std::uint64_t*>(memory_.data() + kLeaseTableHeadBytes)),
      registration_(context, reinterpret_cast<std::uintptr_t>(words_),
                    kSlots * sizeof(std::uint64_t)),
      free_slots_(kSlots) {
  std::memcpy(memory_.data(), instance.data(), instance.size());
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

wire::LeaseTable LeaseWords::table_of(const wire::LeaseRecord& lease) const noexcept {
  return {static_cast<std::uint32_t>(::getpid()),
          static_cast<std::uint32_t>(memory_.fd()),
          kLeaseTableHeadBytes + lease.id % kSlots * sizeof(std::uint64_t)};
}

bool LeaseWords::holds(core::LeaseId lease, std::uint64_t token) const noexcept {
  return token != 0 && std::atomic_ref(words_[lease % kSlots]).load() == token;
}

void LeaseWords::end(core::LeaseId lease) noexcept {
  const std::size_t slot = lease % kSlots;
  // Readers must see it before anything that the user then does to the exposed memory.
  const std::uint64_t token = std::atomic_ref(words_[slot]).exchange(0);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  paths::local::end(token);
  const std::lock_guard lock(mutex_);
  free_slots_.push_back(static_cast<std::uint32_t>(slot));
}

}  // namespace nixl_connect::runtime
