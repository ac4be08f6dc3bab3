// SPDX-License-Identifier: Apache-2.0
//
// The checks on users' arguments, all made before anything is registered or sent. Pure
// functions; each throws Error(kInvalidArgument) or Error(kUnsupported).
#pragma once

#include <span>
#include <vector>

#include "nixl_connect/descriptor.h"
#include "nixl_connect/metadata.h"
#include "nixl_connect/pages.h"
#include "runtime/remote_agent.h"
#include "runtime/remote_ranges.h"

namespace nixl_connect::runtime {

// Whether an operation of this kind writes into the descriptors it is given.
enum class Access { kReadsLocal, kWritesLocal };

// At least one descriptor, one device kind, of GPUs one, no null pointer, writable
// where it must be.
void check_descriptors(std::span<const Descriptor> descriptors, Access access);

// Complete metadata of an operation of this kind.
void check_metadata(const RdmaMetadata& remote, OperationKind kind);

// The same, of a transfer: with descriptors that match the local ones in number and
// sizes, and these as above. A list of one counts as a single descriptor.
void check_transfer(const RdmaMetadata& remote, OperationKind kind,
                    std::span<const Descriptor> local);

// The same of pages, as many on both sides and of one size.
void check_transfer(const RemotePages& remote, OperationKind kind, const Pages& local);

// The remote ranges that the metadata names, each inside a region of the agent.
RemoteRanges resolve(const RdmaMetadata& remote, const RemoteAgent& agent);

}  // namespace nixl_connect::runtime
