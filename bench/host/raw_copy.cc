// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "host/raw_copy.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
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

// In one call, which the kernel makes whole unless it meets a bad page or 2 GiB.
int move_by_call(const Transfer& transfer, std::span<const RawRange> ranges) noexcept {
  std::array<iovec, RawCopy::kMostAtOnce> local;
  std::array<iovec, RawCopy::kMostAtOnce> remote;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const auto [offset, size] = ranges[i];
    local[i] = {transfer.local + offset, size};
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    remote[i] = {reinterpret_cast<void*>(transfer.remote.address + offset), size};
    bytes += size;
  }
  const auto call =
      transfer.kind == OperationKind::kRead ? ::process_vm_readv : ::process_vm_writev;
  const ssize_t moved = call(transfer.remote.pid, local.data(), ranges.size(),
                             remote.data(), ranges.size(), 0);
  if (moved < 0) return errno;
  return static_cast<std::size_t>(moved) == bytes ? 0 : EFAULT;
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

std::vector<RawRange> cut(std::size_t size, std::size_t piece, unsigned threads) {
  const std::size_t pages = std::size_t{4096} * threads;  // Two threads share none.
  const std::size_t step = piece == 0 ? (size + pages - 1) / pages * 4096 : piece;
  std::vector<RawRange> ranges;
  for (std::size_t at = 0; at < size; at += step) {
    ranges.push_back({at, std::min(step, size - at)});
  }
  return ranges;
}

int RawCopy::move_some(const Transfer& transfer,
                       std::span<const RawRange> ranges) const noexcept {
  if (means_ == Means::kSystemCall) return move_by_call(transfer, ranges);
  for (const auto [offset, size] : ranges) {
    void* to = transfer.local + offset;
    void* from = transfer.remote.mapped + offset;
    if (transfer.kind == OperationKind::kWrite) std::swap(to, from);
    if (means_ == Means::kStreaming) {
      paths::host::stream(to, from, size);
    } else {
      std::memcpy(to, from, size);
    }
  }
  return 0;
}

void RawCopy::move(const Transfer& transfer) {
  std::atomic<std::size_t> next{0};
  std::atomic<int> failure{0};
  const auto& ranges = transfer.ranges;
  team_.run([&](unsigned) {
    for (std::size_t at = next.fetch_add(transfer.at_once); at < ranges.size();
         at = next.fetch_add(transfer.at_once)) {
      const std::size_t count = std::min(transfer.at_once, ranges.size() - at);
      const int error = move_some(transfer, ranges.subspan(at, count));
      if (error != 0) failure = error;
    }
  });
  if (failure != 0) {
    throw std::system_error(failure, std::generic_category(),
                            "process_vm_readv or process_vm_writev");
  }
}

}  // namespace nixl_connect::bench
