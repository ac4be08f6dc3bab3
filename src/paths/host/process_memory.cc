// SPDX-License-Identifier: Apache-2.0
#include "paths/host/process_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace nixl_connect::paths::host {
namespace {

iovec part(std::uint64_t address, std::uint64_t size) noexcept {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return {reinterpret_cast<void*>(static_cast<std::uintptr_t>(address)), size};
}

ssize_t read(std::uint32_t pid, void* to, std::uint64_t address,
             std::size_t size) noexcept {
  const iovec local{to, size};
  const iovec remote = part(address, size);
  return ::process_vm_readv(static_cast<pid_t>(pid), &local, 1, &remote, 1, 0);
}

}  // namespace

Fault look(const LeaseWord& lease) noexcept {
  std::uint64_t word = 0;
  if (read(lease.pid, &word, lease.address, sizeof word) == sizeof word)
    return word == lease.token ? Fault::kNone : Fault::kLeaseOver;
  switch (errno) {
    case ESRCH:
      return Fault::kPeerGone;
    case EFAULT:  // the words go with the Connector
      return Fault::kLeaseOver;
    default:
      return Fault::kRefused;
  }
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

Batch::Moved Batch::move(OperationKind kind, const LeaseWord& lease) noexcept {
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
  if (moved < expected) return {std::min(moved, bytes_), explain(moved, lease)};
  const bool is_held = !is_read || word == lease.token;
  return {bytes_, is_held ? Fault::kNone : Fault::kLeaseOver};
}

// Why the call ended behind so many bytes.
Fault Batch::explain(std::uint64_t moved, const LeaseWord& lease) const noexcept {
  if (const Fault fault = look(lease); fault != Fault::kNone) return fault;
  char byte = 0;
  const bool is_remote_there =
      read(lease.pid, &byte, remote_address(moved), sizeof byte) == sizeof byte;
  return is_remote_there ? Fault::kLocalMemory : Fault::kRemoteMemory;
}

std::uint64_t Batch::remote_address(std::uint64_t offset) const noexcept {
  std::size_t i = 0;
  for (; offset >= remote_.parts[i].iov_len; ++i) offset -= remote_.parts[i].iov_len;
  return reinterpret_cast<std::uintptr_t>(remote_.parts[i].iov_base) + offset;
}

}  // namespace nixl_connect::paths::host
