// SPDX-License-Identifier: Apache-2.0
//
// Control messages between two of our Connectors, over active messages of their own id.
// Pure functions; the decoder takes hostile bytes.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "wire/extension.h"

namespace nixl_connect::wire {

constexpr unsigned kControlMessageId = 20;  // NIXL owns 0, and owned 1 before 0.5.1
constexpr std::size_t kMaxControlBytes = 64 * 1024;

// First message of a connection: who sends, and where to answer.
struct Hello {
  std::string agent;       // NIXL agent name
  base::Bytes connection;  // UCX worker address
  std::string library_version;
  std::string ucx_version;

  bool operator==(const Hello&) const = default;
};

// What an operation does with the memory of a lease. A view reads it in place, for as
// long as it likes.
enum class AccessKind : std::uint8_t { kRead = 0, kWrite = 1, kView = 2 };

// A read finds out afterwards whether its bytes were valid. The others cannot: they
// wait for Grant, and from then on hold the memory until their Done.
constexpr bool needs_grant(AccessKind access) noexcept {
  return access != AccessKind::kRead;
}

// Initiating -> exposing: operation `operation` (the sender's number) begins to use the
// lease. A read goes ahead at once; a write or a view waits for Grant, unless the
// write may begin early: its Attach has gone into a local channel by which an earlier
// Grant of the other side was asked for, and the lease's word still holds the token.
// Who allows that (Extension::allows_early_writes) reads its channels when the word is
// cleared, and so has either kept the write away or knows of it.
struct Attach {
  std::uint64_t operation = 0;
  std::uint64_t lease = 0;
  std::uint64_t token = 0;
  AccessKind access = AccessKind::kRead;

  bool operator==(const Attach&) const = default;
};

// Exposing -> initiating: the write or view may begin.
struct Grant {
  std::uint64_t operation = 0;  // as in Attach

  bool operator==(const Grant&) const = default;
};

enum class DoneStatus : std::uint8_t { kComplete = 0, kCancelled = 1, kFailed = 2 };

// Initiating -> exposing: the operation is over and touches the memory no more.
struct Done {
  std::uint64_t operation = 0;
  std::uint64_t lease = 0;
  DoneStatus status = DoneStatus::kComplete;
  std::uint64_t bytes = 0;
  std::string reason;  // for people; of kFailed
  std::string path;    // for people; how the bytes went

  bool operator==(const Done&) const = default;
};

// Exposing -> initiating: stop using the lease and answer with Done. Also the answer to
// an Attach that names a lease which is over or was never given.
struct Revoke {
  std::uint64_t operation = 0;  // as in Attach
  std::string reason;           // for people

  bool operator==(const Revoke&) const = default;
};

// What the table of the lease words is asked for as; no export has this id.
constexpr std::uint64_t kLeaseTableId = 0;

// What a chunk of a GPU's memory is asked for as: its buffer id, which is below the
// mark, and the mark, which no other id has.
constexpr std::uint64_t kGpuChunkMark = kFirstUnusedBufferId;
constexpr bool is_gpu_chunk(std::uint64_t what) noexcept {
  return (what & kGpuChunkMark) != 0;
}

// Initiating -> exposing, over the local channel: hand over memory that the lease's
// metadata names. Answered by FetchedRegion.
struct Fetch {
  std::uint64_t lease = 0;
  std::uint64_t token = 0;
  std::uint64_t what = 0;  // id of an export, kLeaseTableId, or a marked buffer id

  bool operator==(const Fetch&) const = default;
};

// Exposing -> initiating: what was asked for. If it is granted, its file comes with the
// message, which holds nothing else.
struct FetchedRegion {
  std::uint64_t what = 0;  // as in Fetch
  bool is_granted = false;

  bool operator==(const FetchedRegion&) const = default;
};

// Initiating -> exposing: give the keys of the lease's memory, for regions that the
// metadata has none of, from that number on. Answered by Keys when the memory is ready.
struct AskKeys {
  std::uint64_t operation = 0;  // the sender's number
  std::uint64_t lease = 0;
  std::uint64_t token = 0;
  std::uint64_t first = 0;

  bool operator==(const AskKeys&) const = default;
};

// By which UCX reaches memory of the exposing process.
struct MemoryKey {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  base::Bytes rkey;

  bool operator==(const MemoryKey&) const = default;
};

// Exposing -> initiating: keys, as many as have room in a message; the rest is to be
// asked for.
struct Keys {
  std::uint64_t operation = 0;  // as in AskKeys
  std::uint64_t first = 0;      // the same
  std::uint64_t count = 0;      // of all there are; 0: none can be had
  base::Bytes connection;       // the worker address to which they belong
  std::vector<MemoryKey> keys;
  std::string why_not;  // for people, if there are none

  bool operator==(const Keys&) const = default;
};

// What an exposing side gives at most, in all, and how much of it in one message.
constexpr std::size_t kMaxKeys = 4096;
constexpr std::size_t kMaxKeysBytes = 48 * 1024;

// What a key takes of kMaxKeysBytes.
constexpr std::size_t size_in_message(const MemoryKey& key) noexcept {
  return 8 + 8 + 4 + key.rkey.size();
}

// A range that the exposing process is to move: where it lies in its own memory and in
// that of the process which asks for it.
struct ServedRange {
  std::uint64_t address = 0;
  std::uint64_t asker_address = 0;
  std::uint64_t size = 0;

  bool operator==(const ServedRange&) const = default;
};

// Initiating -> exposing, over the local channel: move the bytes of the operation by a
// GPU of yours, of a read into memory that the sender exposes to you, of a write out of
// it. Several messages if the ranges take them, one right behind the other. The
// exposing side then begins an operation of its own on that memory, or answers with
// NotServed.
struct Serve {
  std::uint64_t operation = 0;  // a number of the sender's
  std::uint64_t lease = 0;      // as in Attach
  std::uint64_t token = 0;      // the same
  std::uint64_t count = 0;      // of all ranges; from 1 to kMaxServedRanges
  base::Bytes exposed;  // of the first message: an agent's metadata (nixl_blob.h)
  std::vector<ServedRange> ranges;
  bool may_use_sm = true;        // of the GPU, as OperationOptions has it
  std::uint64_t max_blocks = 0;  // the same; 0: what the exposing side takes
  std::uint64_t first = 0;       // how many ranges came in messages before

  bool operator==(const Serve&) const = default;
};

// Exposing -> initiating: it does not move these bytes, and has moved none.
struct NotServed {
  std::uint64_t operation = 0;  // as in Serve
  std::string reason;           // for people
  bool is_over = false;         // the lease, as Revoke says; so no other way helps

  bool operator==(const NotServed&) const = default;
};

// Of one Serve, whatever its messages.
constexpr std::uint64_t kMaxServedRanges = std::uint64_t{1} << 16;
// These and the metadata stay below kMaxControlBytes.
constexpr std::size_t kMaxServedRangesInMessage = 1024;
// What an initiating side has open at once. The exposing side has no more operations
// under way for it, but takes some more that wait.
constexpr std::size_t kMaxServedOperations = 8;
constexpr std::uint64_t kMaxServedRangesAtOnce = 2 * kMaxServedRanges;

using ControlBody = std::variant<Hello, Attach, Grant, Done, Revoke, Fetch,
                                 FetchedRegion, AskKeys, Keys, Serve, NotServed>;

struct ControlMessage {
  InstanceId sender{};
  ControlBody body;

  bool operator==(const ControlMessage&) const = default;
};

// Layout: u8 version (1), u8 kind, sender's instance id, then the fields of the body as
// (u16 type, u32 length, bytes). Text is cut to 1,024 bytes at a character boundary.
// Throws Error(kInvalidArgument) beyond kMaxControlBytes.
base::Bytes encode(const ControlMessage& message);

// One active message carries one or more control messages, each behind its u32 length,
// so that a busy sender can tell of many operations at once. Throws as encode(), and
// leaves the payload as it was then.
void append_to_payload(base::Bytes& payload, const ControlMessage& message);

// The messages of a payload, still encoded. Throws Error(kInvalidArgument) if a length
// reaches outside.
std::vector<base::BytesView> split_payload(base::BytesView payload);

// Unknown fields are skipped; unknown kinds and versions, missing fields and lengths
// that reach outside throw Error(kInvalidArgument).
ControlMessage decode_control(base::BytesView payload);

}  // namespace nixl_connect::wire
