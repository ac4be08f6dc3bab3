// SPDX-License-Identifier: Apache-2.0
#include "runtime/remote_leases.h"

#include <atomic>
#include <cstring>
#include <utility>

#include "runtime/lease_words.h"

namespace nixl_connect::runtime {

void RemoteLeases::open(const wire::Extension& peer) {
  if (!peer.lease_table) return;
  if (take(base::SharedMemory::of_process(peer.lease_table->pid, peer.lease_table->fd,
                                          kLeaseTableName),
           peer.instance))
    pid_ = peer.lease_table->pid;
}

void RemoteLeases::open(const wire::InstanceId& peer, const base::UniqueFd& file) {
  take(base::SharedMemory::of_fd(file, kLeaseTableName), peer);
}

bool RemoteLeases::take(std::optional<base::SharedMemory> table,
                        const wire::InstanceId& peer) {
  // Numbers may mean another process here.
  if (!table || table->size() < kLeaseTableHeadBytes ||
      std::memcmp(table->data(), peer.data(), peer.size()) != 0)
    return false;
  table_.emplace(*std::move(table));
  return true;
}

std::optional<bool> RemoteLeases::is_valid(const wire::Extension& peer) const noexcept {
  if (!table_ || !peer.lease_table) return std::nullopt;
  const std::uint64_t offset = peer.lease_table->word_offset;
  if (offset % sizeof(std::uint64_t) != 0 || offset < kLeaseTableHeadBytes ||
      offset > table_->size() - sizeof(std::uint64_t))
    return std::nullopt;
  auto* const word = reinterpret_cast<std::uint64_t*>(table_->data() + offset);
  // The data was fetched before this.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return std::atomic_ref(*word).load() == peer.lease.token;
}

}  // namespace nixl_connect::runtime
