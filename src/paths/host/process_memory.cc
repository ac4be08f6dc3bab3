// SPDX-License-Identifier: Apache-2.0
#include "paths/host/process_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "paths/host/address.h"

namespace nixl_connect::paths::host {
namespace {

iovec part(std::uint64_t address, std::uint64_t size) noexcept {
  return {pointer_to(address), size};
}

ssize_t read(std::uint32_t pid, void* to, std::uint64_t address,
             std::size_t size) noexcept {
  const iovec local{to, size};
  const iovec remote = part(address, size);
  return ::process_vm_readv(static_cast<pid_t>(pid), &local, 1, &remote, 1, 0);
}

bool is_accessible(OperationKind kind, std::uint64_t address) noexcept {
  const auto own = static_cast<std::uint32_t>(::getpid());
  char byte = 0;
  if (read(own, &byte, address, 1) != 1) return false;
  if (kind != OperationKind::kRead) return true;
  const iovec from{&byte, 1};
  const iovec to = part(address, 1);
  return ::process_vm_writev(static_cast<pid_t>(own), &from, 1, &to, 1, 0) == 1;
}

}  // namespace

bool are_accessible(OperationKind kind, std::span<const Range> ranges) noexcept {
  constexpr std::uint64_t kPage = 4096;
  int tries = 4096;
  for (const Range& range : ranges) {
    const std::uint64_t end = range.local + range.size;
    for (std::uint64_t at = range.local; at < end && tries > 0;
         at = (at / kPage + 1) * kPage, --tries)
      if (!is_accessible(kind, at)) return false;
  }
  return true;
}

Fault look(const LeaseWord& lease) noexcept {
  std::uint64_t word = 0;
  const ssize_t result = read(lease.pid, &word, lease.address, sizeof word);
  if (result == sizeof word && word == lease.token) return Fault::kNone;
  if (result < 0 && errno == ESRCH) return Fault::kPeerGone;
  if (result < 0 && errno == EPERM) return Fault::kRefused;
  return Fault::kLeaseOver;  // the words go with the Connector
}

void Batch::Side::add(std::uint64_t address, std::uint64_t size) noexcept {
  if (count > 0) {
    iovec& last = parts[count - 1];
    if (reinterpret_cast<std::uintptr_t>(last.iov_base) + last.iov_len == address) {
      last.iov_len += size;
      return;
    }
  }
  parts[count++] = part(address, size);
}

Moved Batch::move(OperationKind kind, const LeaseWord& lease) noexcept {
  const bool is_read = kind == OperationKind::kRead;
  std::uint64_t word = 0;
  std::uint64_t expected = bytes_;
  if (is_read) {
    local_.add(reinterpret_cast<std::uintptr_t>(&word), sizeof word);
    remote_.add(lease.address, sizeof word);
    expected += sizeof word;
  } else if (const Fault fault = look(lease); fault != Fault::kNone) {
    return {0, fault};
  }
  const auto call = is_read ? ::process_vm_readv : ::process_vm_writev;
  const ssize_t result = call(static_cast<pid_t>(lease.pid), local_.parts.data(),
                              local_.count, remote_.parts.data(), remote_.count, 0);
  const std::uint64_t moved = result < 0 ? 0 : static_cast<std::uint64_t>(result);
  if (moved < expected) return {std::min(moved, bytes_), explain(kind, moved, lease)};
  const bool is_held = !is_read || word == lease.token;
  return {bytes_, is_held ? Fault::kNone : Fault::kLeaseOver};
}

// Why the call ended behind so many bytes. The next one can be read on the side that it
// comes from, or that side is at fault.
Fault Batch::explain(OperationKind kind, std::uint64_t moved,
                     const LeaseWord& lease) const noexcept {
  if (const Fault fault = look(lease); fault != Fault::kNone) return fault;
  const bool is_read = kind == OperationKind::kRead;
  const auto source_pid = is_read ? lease.pid : static_cast<std::uint32_t>(::getpid());
  char byte = 0;
  const bool is_source_there =
      read(source_pid, &byte, (is_read ? remote_ : local_).address(moved), 1) == 1;
  return is_read == is_source_there ? Fault::kLocalMemory : Fault::kRemoteMemory;
}

std::uint64_t Batch::Side::address(std::uint64_t offset) const noexcept {
  std::size_t i = 0;
  for (; offset >= parts[i].iov_len; ++i) offset -= parts[i].iov_len;
  return reinterpret_cast<std::uintptr_t>(parts[i].iov_base) + offset;
}

}  // namespace nixl_connect::paths::host
