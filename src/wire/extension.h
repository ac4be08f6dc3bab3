// SPDX-License-Identifier: Apache-2.0
//
// The record `nxcx1` behind the last NIXL record of a blob: what one of our Connectors
// tells another and a genuine NIXL agent ignores. Pure functions; the decoder takes
// hostile bytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/place.h"
#include "wire/gpu_exports.h"

namespace nixl_connect::wire {

// Random per Connector and process start: a restarted peer is another peer.
using InstanceId = std::array<std::byte, 16>;

// The exposing side's promise that its memory may be touched. Its word holds `token` in
// the exposing process for exactly as long as the lease lasts, so that a reader learns
// with one get, after its data is here, whether the data was still valid.
struct LeaseRecord {
  std::uint64_t id = 0;
  std::uint64_t token = 0;         // secret, never 0
  std::uint64_t word_address = 0;  // in the exposing process, 8 bytes
  base::Bytes word_rkey;

  bool operator==(const LeaseRecord&) const = default;
};

// Where the lease words of a process lie, for peers of the same host, which may map
// them: the file descriptor of a sealed memfd, which begins with the instance id.
struct LeaseTable {
  std::uint32_t pid = 0;  // in the process's own namespace
  std::uint32_t fd = 0;   // of that process
  std::uint64_t word_offset = 0;

  bool operator==(const LeaseTable&) const = default;
};

// Memory that peers of the same host may map: a sealed memfd of the process, whose name
// ends in the id, so that the number of another file leads nowhere.
struct Export {
  std::uint64_t id = 0;
  std::uint64_t address = 0;  // of its first byte, in the exposing process
  std::uint64_t size = 0;
  std::uint32_t fd = 0;  // of the process

  bool covers(std::uint64_t first, std::uint64_t bytes) const noexcept {
    return first >= address && first - address <= size &&
           bytes <= size - (first - address);
  }
  bool operator==(const Export&) const = default;
};

// Random per process, for all its Connectors.
using ProcessId = std::array<std::byte, 16>;

struct Extension {
  InstanceId instance{};
  std::string library_version;
  std::string ucx_version;
  LeaseRecord lease;
  std::optional<LeaseTable> lease_table;
  std::vector<Export> exports{};
  std::optional<base::Place> place{};
  std::vector<GpuExport> gpu_exports{};
  // None: the memory is ready. A peer that does not know of it gets no GPU exports.
  std::optional<ReadyEvent> ready{};
  std::optional<ProcessId> process{};
  base::Bytes connection{};  // the worker address for peers of ours, if it is another
  std::string why_not_exported{};  // some memory of GPUs; for people
  // Before the lease ends, all that has come over local channels is read (control.h).
  bool allows_early_writes = false;
  // UCX reaches the memory, and keys that regions lack may be asked for (AskKeys).
  bool gives_keys = false;
  // The process moves bytes of its GPUs for peers that cannot (Serve).
  bool serves = false;

  // Whose the memory of GPUs is. A peer that does not tell its process counts as one.
  const ProcessId& owner() const noexcept { return process ? *process : instance; }

  bool operator==(const Extension&) const = default;
};

constexpr std::string_view kExtensionTag = "nxcx1";
constexpr std::size_t kMaxVersionBytes = 64;
constexpr std::size_t kMaxWhyNotBytes = 512;
constexpr std::size_t kMaxWordRkeyBytes = 2048;
constexpr std::size_t kMaxConnectionBytes = 4096;
constexpr std::size_t kMaxExports = 32;
constexpr std::size_t kMaxExtensionBytes = 64 << 10;  // these limits keep it below

// NIXL's socket listener splits what it receives wherever this text occurs.
constexpr std::string_view kForbiddenText = "NIXLCOMM:";

// The record's data: fields of (u16 type, u32 length, bytes), then the CRC-32 of them.
//   1 salt      u8; the values of all later fields are XORed with it. Only there when
//               kForbiddenText would occur without it
//   2 instance  16 bytes
//   3 lease     u64 id, u64 token, u64 word address, then the word's rkey
//   4 library version, 5 UCX version   UTF-8; left out if empty
//   6 lease table   u32 pid, u32 fd, u64 offset of the lease's word; may be left out
//   7 exports       of each u64 id, u64 address, u64 size, u32 fd; left out if empty
//   8 place         16 bytes boot, u64 inode of the pid namespace, u64 inode of the
//                   network namespace, u32 effective user; may be left out
//   9 GPU exports   see encode_gpu_exports(); left out if empty
//  10 ordered GPU exports   see encode_ordered_gpu_exports(); in place of 9 if the
//                   memory is to be waited for
//  11 process       16 bytes; left out where there is no memory of GPUs
//  12 why some memory of GPUs is not exported   UTF-8; left out if empty
//  13 connection    a worker address; left out if empty
//  14 early writes  nothing; left out where they are not allowed
//  15 gives keys    no bytes; left out if it does not
//  16 serves        no bytes; left out if it does not
// Throws Error(kInvalidArgument) for a token of 0, text that is not UTF-8, GPU exports
// with a defect and what is longer than its limit above.
base::Bytes encode(const Extension& extension);

// Unknown fields are skipped. Nothing if the CRC does not match, a length reaches
// outside, a required field (instance, lease) is missing, or encode() would refuse the
// content: such a peer is treated as a genuine NIXL agent.
std::optional<Extension> decode_extension(base::BytesView data);

}  // namespace nixl_connect::wire
