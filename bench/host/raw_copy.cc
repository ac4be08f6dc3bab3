// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "host/raw_copy.h"

#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "paths/host/mapped_copy.h"

namespace nixl_connect::bench {
namespace {

// What is left over by the kernel, which moves less than asked for at a bad page, and
// never more than 2 GiB.
int move_by_calls(const Transfer& transfer, std::size_t offset,
                  std::size_t size) noexcept {
  const bool is_read = transfer.kind == OperationKind::kRead;
  const auto call = is_read ? ::process_vm_readv : ::process_vm_writev;
  for (std::size_t moved = 0; moved < size;) {
    const iovec local{transfer.local + offset + moved, size - moved};
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    void* const there =
        reinterpret_cast<void*>(transfer.remote.address + offset + moved);
    const iovec remote{there, size - moved};
    const ssize_t count = call(transfer.remote.pid, &local, 1, &remote, 1, 0);
    if (count <= 0) return count < 0 ? errno : EFAULT;
    moved += static_cast<std::size_t>(count);
  }
  return 0;
}

}  // namespace

Means means_of(const std::string& name) {
  static const std::map<std::string, Means> known = {
      {"system-call", Means::kSystemCall},
      {"memcpy", Means::kMemcpy},
      {"streaming", Means::kStreaming}};
  const auto found = known.find(name);
  if (found == known.end()) throw std::invalid_argument("no means are called " + name);
  return found->second;
}

int RawCopy::move_piece(const Transfer& transfer, std::size_t offset,
                        std::size_t size) const noexcept {
  if (means_ == Means::kSystemCall) return move_by_calls(transfer, offset, size);
  void* to = transfer.local + offset;
  void* from = transfer.remote.mapped + offset;
  if (transfer.kind == OperationKind::kWrite) std::swap(to, from);
  if (means_ == Means::kStreaming) {
    paths::host::stream(to, from, size);
  } else {
    std::memcpy(to, from, size);
  }
  return 0;
}

void RawCopy::move(const Transfer& transfer) {
  const std::size_t pages = 4096 * team_.size();  // Two threads share none.
  const std::size_t share = (transfer.size + pages - 1) / pages * 4096;
  const std::size_t step = piece_ == 0 ? share : piece_;
  std::atomic<std::size_t> next{0};
  std::atomic<int> failure{0};
  team_.run([&](unsigned) {
    for (std::size_t at = next.fetch_add(step); at < transfer.size;
         at = next.fetch_add(step)) {
      const int error = move_piece(transfer, at, std::min(step, transfer.size - at));
      if (error != 0) failure = error;
    }
  });
  if (failure != 0) {
    throw std::system_error(failure, std::generic_category(),
                            "process_vm_readv or process_vm_writev");
  }
}

}  // namespace nixl_connect::bench
